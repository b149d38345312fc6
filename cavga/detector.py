"""CAVGA: a variational autoencoder whose attention is trained to cover the whole normal image.

Source: "Attention Guided Anomaly Localization in Images", ECCV 2020; supplementary, sections 2 and 4.

Certain: the layers of Tables 9 and 10; a convolutional latent z; the terms of the objective and their weights
(`losses`); attention is Grad-CAM from z, or from the class score, to the encoder's last convolution, in [0,1]; the
anomaly map is 1 - A; the image score is the pixel-wise difference of x and x̂; batches of 16, 150 epochs, a learning
rate of 1e-4. The weakly supervised variant adds a classifier on z and is shown 2 % anomalous images.

Ours: every keyword of `Cavga` below `flat_size`, each a switch; docs/attention.md has the measurements behind the
defaults of `attention` and `test`. Adam with betas (0.5, 0.999) for both sides of the game.

Deviations: encoder and decoder of D and the discriminators start at random, where the paper starts from weights trained
on CelebA that were never published; where R's encoder is not ResNet-18 the captions say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from cavga import losses
from cavga.attention import Attention
from cavga.layers import architecture_rows
from cavga.losses import ANOMALOUS, NORMAL
from cavga.model import Model
from cavga.networks import Shape
from cavga.networks_r import LAYERS
from cavga.normalise import Scale
from cavga.objective import Objective
from cavga.reading import Reader, Reading, measure_scales
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Phase, Run

Settings = TypeVar("Settings", losses.Weights, Attention, Reading)
CHOICES: dict[str, tuple[str, ...]] = {
    "architecture": ("R", "D"),
    "supervision": ("none", "weak"),
    "latent": ("conv", "flat"),
    "encoder": tuple(LAYERS),
    "reconstruction": tuple(losses.RECONSTRUCTIONS),
    "reduction": ("elements", "sum"),
    "kl_reduction": ("elements", "latents", "sum"),
    "game": ("non_saturating", "minimax"),
    "upsampling": ("bilinear", "nearest"),
}


class Cavga(Detector):
    """CAVGA-R or -D, unsupervised (u) or weakly supervised (w), and the ablations of Table 8.

    Args:
        shape: (C,H,W) of the images.
        architecture: "R" (Table 9) or "D" (Table 10).
        supervision: "none" (u) or "weak" (w: the training set's few anomalous images carry labels).
        latent: "conv" (spatial z) or "flat" (the starred columns of Table 8).
        expansion: train with L_ae (u).
        guidance: train with L_cga (w). Where A has one cell, both terms say nothing and are left out.
        encoder: of R: "resnet18" or "efficientnet_lite0".
        encoder_weights: of R: "imagenet" or "none".
        flat_size: entries of a flat z; (M) 100.
        depth: halvings of the image; 0 takes `networks.default_depth`.
        weights: other weights of the loss terms than the paper's.
        reconstruction: form of L_R: "bce", "l2" or "l1".
        reduction: of L_R over an image: "elements" divides by the number of its values, so that L_R is of the order of
            the other terms, for which the weights are meant; "sum".
        kl_reduction: of KL: "elements" divides by the same number, which keeps its ratio to L_R; "latents" by the
            number of latent values; "sum".
        game: "non_saturating" or "minimax"; see `losses.fool`.
        attention: settings of `attention.Attention`: A in training.
        test: settings of `reading.Reading`, on top of those of `attention`: the map at test.
        maps: further maps by name, each with settings on top of those of `test`; they share this fit.
        anomalous_share: share of the weakly supervised training sample that anomalous images make up, by repeating
            them; 0 lets each one count once, as the normal images do.
        upsampling: of the map to the image's size, "bilinear" or "nearest".
    """

    map_range = (0.0, 1.0)
    scales: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        architecture: str = "R",
        supervision: str = "none",
        latent: str = "conv",
        expansion: bool = True,
        guidance: bool = True,
        encoder: str = "resnet18",
        encoder_weights: str = "none",
        flat_size: int = 100,
        depth: int = 0,
        weights: Mapping[str, float] | None = None,
        reconstruction: str = "bce",
        reduction: str = "elements",
        kl_reduction: str = "elements",
        game: str = "non_saturating",
        attention: Mapping[str, Any] | None = None,
        test: Mapping[str, Any] | None = None,
        maps: Mapping[str, Mapping[str, Any]] | None = None,
        anomalous_share: float = 0.0,
        upsampling: str = "bilinear",
    ) -> None:
        super().__init__(shape)
        _check(
            architecture=architecture, supervision=supervision, latent=latent, encoder=encoder, game=game,
            reconstruction=reconstruction, reduction=reduction, kl_reduction=kl_reduction, upsampling=upsampling,
        )  # fmt: skip
        if not 0 <= anomalous_share < 1:
            raise ConfigError(f"CAVGA's option anomalous_share: {anomalous_share} is not in [0, 1)")
        self.anomalous_share, self.upsampling, weak = anomalous_share, upsampling, supervision == "weak"
        self.model = Model(shape, architecture, latent, flat_size, depth, encoder, encoder_weights, weak)
        self.weights_origin = self.model.encoder.weights_origin
        self._set_readings(attention or {}, test or {}, maps or {}, latent == "flat")
        values = {"elements": int(np.prod(shape)), "latents": int(np.prod(self.model.latent.shape)), "sum": 1}
        self.objective = Objective(
            self.model, self.attention, _settings(losses.Weights, "weights", weights),
            expansion and self.model.cells > 1, guidance and self.model.cells > 1,
            reconstruction, game, (values[reduction], values[kl_reduction]),
        )  # fmt: skip

    def _set_readings(
        self, attention: Mapping[str, Any], test: Mapping[str, Any], maps: Mapping[str, Mapping[str, Any]], flat: bool
    ) -> None:
        self.attention = _settings(Attention, "attention", attention)
        if self.attention.over == "data":
            raise ConfigError(
                "attention.over: 'data' is known after training only; take image or batch, or set test.over"
            )
        common = asdict(self.attention) | {"over": "image"} | dict(test)
        self.readings = {"": _settings(Reading, "test", common)}
        self.readings |= {name: _settings(Reading, f"maps.{name}", common | dict(own)) for name, own in maps.items()}
        weak = self.model.classifier is not None
        for reading in (self.attention, *self.readings.values()):
            reading.check(weak, flat, 2**self.model.depth)
        self.scaled = list({r.raw_key: r for r in self.readings.values() if r.wants_scale}.values())
        self.register_buffer("scales", torch.zeros(len(self.scaled), 4))

    def layer_rows(self) -> list[dict[str, str]]:
        """Return the networks' layers as Tables 9 and 10 list them."""
        return architecture_rows(self.model)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Play the game: encoder, decoder and classifier against the discriminator."""
        run.prepare(self)
        images, labels = self.sample(train)
        run.loop(self, images, self.phases(run), labels=labels)
        if self.scaled:
            self.eval()
            size = run.training.batch_size
            parts = (train.images[start : start + size] for start in range(0, len(train.images), size))
            self.scales = measure_scales(self.scaled, map(run.images, parts), self.model)

    def sample(self, train: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
        """Return the images to train on (N,H,W,C) and their labels, normal or anomalous."""
        normal, anomalous = train.images, train.anomalous
        if self.model.classifier is None:
            return normal, np.full(len(normal), NORMAL)
        if not len(anomalous):
            raise ConfigError("CAVGA, weakly supervised: no anomalous training image; set `weak: true` in its entry")
        wanted = self.anomalous_share / (1 - self.anomalous_share) * len(normal)
        anomalous = np.resize(anomalous, (max(len(anomalous), round(wanted)), *anomalous.shape[1:]))
        labels = np.repeat([NORMAL, ANOMALOUS], [len(normal), len(anomalous)])
        return np.concatenate([normal, anomalous]), labels

    def phases(self, run: Run) -> list[Phase]:
        """Return the two optimiser steps of a training step."""
        adam = partial(torch.optim.Adam, lr=run.training.learning_rate, betas=(0.5, 0.999), fused=True)
        return [
            Phase(adam(self.model.players()), partial(self.objective.final_loss, run)),
            Phase(adam(self.model.discriminator.parameters()), partial(self.objective.discriminator_loss, run)),
        ]

    def predict(self, images: Tensor) -> Prediction:
        """Return anomaly maps (N,H,W) in [0,1] and scores (N,), higher = more anomalous.

        u: map 1 - A, score mean |x - x̂| (the evaluation brings it to [0,1] over a test set). w: map A of the anomalous
        class, score its probability. Named readings give further maps. Of one cell there is no map.
        """
        with torch.inference_mode(False), torch.enable_grad():
            reader = Reader(self.model, images.clone())
            scores = reader.scores(self.readings[""].sampled)
            if self.model.cells == 1:
                return Prediction(None, scores)
            maps = {name: self._map(reader, reading) for name, reading in self.readings.items()}
        return Prediction(maps if len(maps) > 1 else maps[""], scores)

    def _map(self, reader: Reader, reading: Reading) -> Tensor:
        keys = [scaled.raw_key for scaled in self.scaled]
        scale = Scale.unpack(self.scales[keys.index(reading.raw_key)]) if reading.wants_scale else None
        return reader.map(reading, scale, self.upsampling)


def _settings(kind: type[Settings], option: str, entry: Mapping[str, Any] | None) -> Settings:
    known = [field.name for field in fields(kind)]
    for key in entry or {}:
        _refuse_unknown(option, key, known)
    return kind(**(entry or {}))


def _check(**options: str) -> None:
    for option, value in options.items():
        _refuse_unknown(option, value, CHOICES[option])


def _refuse_unknown(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"CAVGA's option {option}: '{value}' is unknown; choose one of {', '.join(allowed)}")
