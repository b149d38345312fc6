"""CAVGA: a variational autoencoder whose attention is trained to cover the whole normal image.

Source: "Attention Guided Anomaly Localization in Images", ECCV 2020; supplementary, sections 2 and 4.

Certain: the layers of Tables 9 and 10; a convolutional latent z; the terms of the objective and their weights
(`losses`); attention is Grad-CAM from z, or from the class score, to the encoder's last convolution, in [0,1]; the
anomaly map is 1 - A; the image score is the pixel-wise difference of x and x̂; batches of 16, 150 epochs, a learning
rate of 1e-4. The weakly supervised variant adds a classifier on z and is shown 2 % anomalous images.

Ours: every keyword of `Cavga` below `flat_size`, each a switch; docs/attention.md has the measurements behind the
defaults of `attention`. Adam with betas (0.5, 0.999) for both sides of the game. At test z is the posterior's mean.

Deviations: encoder and decoder of D and the discriminators start at random, where the paper starts from weights trained
on CelebA that were never published; ResNet-18 does so too where no ImageNet weights are at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cavga import losses
from cavga.attention import Attention
from cavga.layers import architecture_rows
from cavga.losses import ANOMALOUS, NORMAL
from cavga.model import Code, Model
from cavga.networks import Shape
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

Settings = TypeVar("Settings", losses.Weights, Attention)


class Cavga(Detector):
    """CAVGA-R or -D, unsupervised (u) or weakly supervised (w), and the ablations of Table 8.

    Args:
        shape: (C,H,W) of the images.
        architecture: "R" (Table 9) or "D" (Table 10).
        supervision: "none" (u) or "weak" (w: the training set's few anomalous images carry labels).
        latent: "conv" (spatial z) or "flat" (the starred columns of Table 8).
        expansion: train with L_ae (u).
        guidance: train with L_cga (w).
        pretrained: "imagenet" or "none", for the encoder of R.
        flat_size: entries of a flat z; (M) 100.
        depth: halvings of the image; 0 takes `networks.default_depth`.
        weights: other weights of the loss terms than the paper's.
        reconstruction: form of L_R: "bce", "l2" or "l1".
        reduction: "elements" divides L_R and KL by the number of values of an image, so that both are of the order of
            the other terms, for which the weights are meant; "images" leaves their sums.
        game: "non_saturating" or "minimax"; see `losses.fool`.
        attention: settings of `attention.Attention`.
        anomalous_share: share of the weakly supervised training sample that anomalous images make up, by repeating
            them; 0 lets each one count once, as the normal images do.
        gate: give images that the classifier calls normal an empty map (w).
        upsampling: of the map to the image's size, "bilinear" or "nearest".
    """

    map_range = (0.0, 1.0)

    def __init__(
        self,
        shape: Shape,
        *,
        architecture: str = "R",
        supervision: str = "none",
        latent: str = "conv",
        expansion: bool = True,
        guidance: bool = True,
        pretrained: str = "none",
        flat_size: int = 100,
        depth: int = 0,
        weights: Mapping[str, float] | None = None,
        reconstruction: str = "bce",
        reduction: str = "elements",
        game: str = "non_saturating",
        attention: Mapping[str, Any] | None = None,
        anomalous_share: float = 0.0,
        gate: bool = False,
        upsampling: str = "bilinear",
    ) -> None:
        super().__init__(shape)
        _check("architecture", architecture, ("R", "D"))
        _check("supervision", supervision, ("none", "weak"))
        _check("latent", latent, ("conv", "flat"))
        _check("pretrained", pretrained, ("none", "imagenet"))
        _check("reconstruction", reconstruction, tuple(losses.RECONSTRUCTIONS))
        _check("reduction", reduction, ("elements", "images"))
        _check("game", game, ("non_saturating", "minimax"))
        _check("upsampling", upsampling, ("bilinear", "nearest"))
        if not 0 <= anomalous_share < 1:
            raise ConfigError(f"CAVGA's option anomalous_share: {anomalous_share} is not in [0, 1)")
        weak = supervision == "weak"
        self.expansion, self.guidance = expansion and not weak, guidance and weak
        self.weights = _settings(losses.Weights, "weights", weights)
        self.attention = _settings(Attention, "attention", attention)
        self.reconstruction, self.game = reconstruction, game
        self.values = int(np.prod(shape)) if reduction == "elements" else 1
        self.anomalous_share, self.gate, self.upsampling = anomalous_share, gate, upsampling
        self.model = Model(shape, architecture, latent, flat_size, depth, pretrained == "imagenet", weak)
        self.weights_origin = self.model.encoder.weights_origin

    def layer_rows(self) -> list[dict[str, str]]:
        """Return the networks' layers as Tables 9 and 10 list them."""
        return architecture_rows(self.model)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Play the game: encoder, decoder and classifier against the discriminator."""
        run.prepare(self)
        images, labels = self.sample(train)
        run.loop(self, images, self.phases(run), labels=labels)

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
            Phase(adam(self.model.players()), partial(self.final_loss, run)),
            Phase(adam(self.model.discriminator.parameters()), partial(self.discriminator_loss, run)),
        ]

    def final_loss(self, run: Run, batch: Batch) -> Losses:
        """L_final and its terms: what encoder, latent heads, decoder and classifier minimise."""
        with run.autocast():
            code = self.model.encode(batch.images)
            logits = self.model.decode_logits(code.z)
            fake = self.model.decoder.sigmoid(logits)
            verdict = self.model.discriminator.logits(fake)
        batch.shared["fake"] = fake.detach()
        w, terms = self.weights, dict[str, Tensor]()
        terms["L_R"] = losses.reconstruction(logits, batch.images, self.reconstruction).mean() / self.values
        terms["KL"] = losses.kl(code.mu, code.logvar).mean() / self.values
        terms["L_adv"] = losses.fool(verdict, self.game)
        total = w.r * (terms["L_R"] + terms["KL"]) + w.adv * terms["L_adv"]
        if self.expansion:
            terms["L_ae"] = losses.attention_expansion(self.attention.of_latent(code, create_graph=True))
            total = total + w.ae * terms["L_ae"]
        if self.model.classifier is not None:
            terms |= self._class_terms(run, code, batch.labels)
            total = total + w.c * terms["L_bce"] + w.cga * terms.get("L_cga", 0.0)
        return {"loss": total, **terms}

    def _class_terms(self, run: Run, code: Code, labels: Tensor) -> dict[str, Tensor]:
        assert self.model.classifier is not None
        with run.autocast():
            scores = self.model.classifier.logits(code.z)
        terms = {"L_bce": losses.classification(scores, labels)}
        if self.guidance:
            normal, anomalous = (
                self.attention.of_score(scores[:, c], code.features, create_graph=True) for c in (NORMAL, ANOMALOUS)
            )
            terms["L_cga"] = losses.complementary_guidance(normal, anomalous, scores, labels)
        return terms

    def discriminator_loss(self, run: Run, batch: Batch) -> Losses:
        """L_adv, what the discriminator minimises."""
        with run.autocast():
            if "fake" not in batch.shared:
                with torch.no_grad():
                    batch.shared["fake"] = self.model.decode(self.model.encode(batch.images).z)
            real = self.model.discriminator.logits(batch.images)
            fake = self.model.discriminator.logits(batch.shared["fake"])
        loss = losses.adversarial(real, fake)
        return {"loss": loss, "L_D": loss}

    def predict(self, images: Tensor) -> Prediction:
        """Return anomaly maps (N,H,W) in [0,1] and scores (N,).

        u: map 1 - A, score mean |x - x̂| (the evaluation brings it to [0,1] over a test set). w: map A of the anomalous
        class, score its probability.
        """
        with torch.inference_mode(False), torch.enable_grad():
            with torch.no_grad():
                features = self.model.encoder(images.clone())
            code = self.model.code(features.requires_grad_())
            maps, scores = self._unsupervised(code, images) if self.model.classifier is None else self._weak(code)
        maps = F.interpolate(maps[:, None], images.shape[-2:], mode=self.upsampling)[:, 0]
        return Prediction(maps.detach(), scores.detach())

    def _unsupervised(self, code: Code, images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            scores = (self.model.decode(code.z) - images).abs().flatten(1).mean(1)
        return 1 - self.attention.of_latent(code), scores

    def _weak(self, code: Code) -> tuple[Tensor, Tensor]:
        assert self.model.classifier is not None
        scores = self.model.classifier.logits(code.z)
        probability = self.model.classifier.softmax(scores)[:, ANOMALOUS]
        maps = self.attention.of_score(scores[:, ANOMALOUS], code.features)
        return (maps * (probability > 0.5)[:, None, None] if self.gate else maps), probability


def _settings(kind: type[Settings], option: str, entry: Mapping[str, Any] | None) -> Settings:
    known = [field.name for field in fields(kind)]
    for key in entry or {}:
        _check(option, key, known)
    return kind(**(entry or {}))


def _check(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"CAVGA's option {option}: '{value}' is unknown; choose one of {', '.join(allowed)}")
