"""CAVGA: a variational autoencoder whose attention is trained to cover the whole normal image.

Supplementary of "Attention Guided Anomaly Localization in Images" (ECCV 2020), sections 2 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.detector import Detector, Prediction, TrainingSet
from benchmark.errors import ConfigError
from benchmark.training import Batch, Losses, Phase, Run
from cavga import losses
from cavga.attention import Attention
from cavga.layers import architecture_rows
from cavga.losses import ANOMALOUS, NORMAL
from cavga.networks import (
    Classifier,
    ConvLatent,
    Discriminator,
    FlatLatent,
    Shape,
    check_sides,
    default_depth,
)
from cavga.networks_d import DecoderD, EncoderD
from cavga.networks_r import DecoderR, EncoderR

Settings = TypeVar("Settings", losses.Weights, Attention)


@dataclass
class Encoded:
    """What the encoder makes of images: features F, the posterior's mean and log-variance, and z."""

    features: Tensor
    mu: Tensor
    logvar: Tensor
    z: Tensor


class Cavga(Detector):
    """CAVGA-R or -D, unsupervised (u) or weakly supervised (w), and the ablations of Table 8.

    Args:
        shape: (C,H,W) of the images.
        architecture: "R" (Table 9) or "D" (Table 10).
        supervision: "none" (u) or "weak" (w: the training set's few anomalous images carry labels).
        latent: "conv" (spatial z) or "flat" (the starred columns of Table 8).
        flat_size: entries of a flat z.
        depth: halvings of the image; see `networks.default_depth`.
        pretrained: "imagenet" or "none", for the encoder of R.
        expansion: train with L_ae (u).
        guidance: train with L_cga (w).
        weights: other weights of the loss terms than the paper's.
        reconstruction: form of L_R: "bce", "l2" or "l1".
        reduction: "elements" divides L_R and KL by the number of values of an image, so that both are of the
            order of the other terms, for which the weights are meant; "images" leaves their sums.
        game: "non_saturating" or "minimax"; see `losses.fool`.
        attention: settings of `attention.Attention`.
        anomalous_share: share of the weakly supervised training sample that anomalous images make up, by
            repeating them; None lets each one count once, as the normal images do.
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
        flat_size: int = 100,
        depth: int | None = None,
        pretrained: str = "none",
        expansion: bool = True,
        guidance: bool = True,
        weights: Mapping[str, float] | None = None,
        reconstruction: str = "bce",
        reduction: str = "elements",
        game: str = "non_saturating",
        attention: Mapping[str, Any] | None = None,
        anomalous_share: float | None = None,
        gate: bool = False,
        upsampling: str = "bilinear",
    ) -> None:
        super().__init__(shape)
        _check("architecture", architecture, ("R", "D"))
        _check("supervision", supervision, ("none", "weak"))
        _check("latent", latent, ("conv", "flat"))
        _check("pretrained", pretrained, ("none", "imagenet"))
        _check("reduction", reduction, ("elements", "images"))
        self.weak = supervision == "weak"
        self.expansion, self.guidance = expansion and not self.weak, guidance and self.weak
        self.weights = _settings(losses.Weights, "weights", weights)
        self.reconstruction, self.game = reconstruction, game
        self.values = int(np.prod(shape)) if reduction == "elements" else 1
        self.anomalous_share, self.gate, self.upsampling = anomalous_share, gate, upsampling
        self.attention = _settings(Attention, "attention", attention)
        depth = depth or default_depth(min(shape[1:]))
        check_sides(shape, depth)
        self._build(architecture, latent, flat_size, depth, pretrained == "imagenet")

    def _build(self, architecture: str, latent: str, flat_size: int, depth: int, pretrained: bool) -> None:
        channels, height, width = self.shape
        self.encoder: EncoderR | EncoderD
        self.decoder: DecoderR | DecoderD
        if architecture == "R":
            self.encoder = EncoderR(channels, depth, pretrained)
            self.decoder = DecoderR(self.encoder.channels, channels, depth)
        else:
            self.encoder = EncoderD(channels, depth)
            self.decoder = DecoderD(self.encoder.channels, channels, depth)
        self.weights_origin = self.encoder.weights_origin
        features = (self.encoder.channels, height >> depth, width >> depth)
        self.latent = ConvLatent(features) if latent == "conv" else FlatLatent(features, flat_size)
        self.discriminator = Discriminator(channels, depth)
        self.classifier = Classifier(self.latent.shape) if self.weak else None

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Play the game: encoder, decoder and classifier against the discriminator."""
        run.prepare(self)
        images, labels = self._sample(train)
        adam = partial(torch.optim.Adam, lr=run.training.learning_rate, betas=(0.5, 0.999), fused=True)
        players: list[nn.Module | None] = [self.encoder, self.latent, self.decoder, self.classifier]
        parameters = [p for player in players if player is not None for p in player.parameters()]
        phases = [
            Phase(adam(parameters), partial(self._final_loss, run)),
            Phase(adam(self.discriminator.parameters()), partial(self._discriminator_loss, run)),
        ]
        run.loop(self, images, phases, labels=labels)

    def _sample(self, train: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
        """Return the images to train on and their labels, normal or anomalous."""
        normal, anomalous = train.images, train.anomalous
        if not self.weak or not len(anomalous):
            return normal, np.full(len(normal), NORMAL)
        if self.anomalous_share is not None:
            wanted = self.anomalous_share / (1 - self.anomalous_share) * len(normal)
            anomalous = np.resize(anomalous, (max(len(anomalous), round(wanted)), *anomalous.shape[1:]))
        labels = np.repeat([NORMAL, ANOMALOUS], [len(normal), len(anomalous)])
        return np.concatenate([normal, anomalous]), labels

    def layer_rows(self) -> list[dict[str, str]]:
        """Return the networks' layers as Tables 9 and 10 list them."""
        return architecture_rows(self)

    def encode(self, images: Tensor) -> Encoded:
        """Return features, posterior and a draw z from it (in eval mode: its mean)."""
        features = self.encoder(images)
        mu, logvar = self.latent(features)
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if self.training else mu
        return Encoded(features, mu, logvar, z)

    def _final_loss(self, run: Run, batch: Batch) -> Losses:
        """L_final: what encoder, latent heads, decoder and classifier minimise."""
        with run.autocast():
            code = self.encode(batch.images)
            logits = self.decoder.logits(self.latent.unflatten(code.z))
            fake = self.decoder.sigmoid(logits)
            verdict = self.discriminator.logits(fake)
            class_scores = self.classifier.logits(code.z) if self.classifier is not None else None
        batch.shared["fake"] = fake.detach()
        w, terms = self.weights, dict[str, Tensor]()
        terms["L_R"] = losses.reconstruction(logits, batch.images, self.reconstruction).mean() / self.values
        terms["KL"] = losses.kl(code.mu, code.logvar).mean() / self.values
        terms["L_adv"] = losses.fool(verdict, self.game)
        total = w.r * (terms["L_R"] + terms["KL"]) + w.adv * terms["L_adv"]
        if self.expansion:
            terms["L_ae"] = losses.attention_expansion(self.attention.of_latent(code, create_graph=True))
            total = total + w.ae * terms["L_ae"]
        if class_scores is not None:
            terms["L_bce"] = losses.classification(class_scores, batch.labels)
            total = total + w.c * terms["L_bce"]
            if self.guidance:
                terms["L_cga"] = self._guidance_loss(code, class_scores, batch.labels)
                total = total + w.cga * terms["L_cga"]
        return {"loss": total, **terms}

    def _guidance_loss(self, code: Encoded, class_scores: Tensor, labels: Tensor) -> Tensor:
        maps = [
            self.attention.of_score(class_scores[:, c], code.features, create_graph=True) for c in (NORMAL, ANOMALOUS)
        ]
        return losses.complementary_guidance(maps[NORMAL], maps[ANOMALOUS], class_scores, labels)

    def _discriminator_loss(self, run: Run, batch: Batch) -> Losses:
        with run.autocast():
            if "fake" not in batch.shared:
                with torch.no_grad():
                    code = self.encode(batch.images)
                    batch.shared["fake"] = self.decoder(self.latent.unflatten(code.z))
            real = self.discriminator.logits(batch.images)
            fake = self.discriminator.logits(batch.shared["fake"])
        loss = losses.adversarial(real, fake)
        return {"loss": loss, "L_D": loss}

    def predict(self, images: Tensor) -> Prediction:
        """Return anomaly maps (N,H,W) in [0,1] and scores (N,).

        u: map 1 - A, score mean |x - x̂| (the evaluation brings it to [0,1] over a test set). w: map A of the
        anomalous class, score its probability.
        """
        with torch.inference_mode(False), torch.enable_grad():
            with torch.no_grad():
                features = self.encoder(images.clone())
            features.requires_grad_()
            mu, logvar = self.latent(features)
            code = Encoded(features, mu, logvar, mu)
            maps, scores = self._supervised(code) if self.weak else self._unsupervised(code, images)
        maps = F.interpolate(maps[:, None], images.shape[-2:], mode=self.upsampling)[:, 0]
        return Prediction(maps.detach(), scores.detach())

    def _unsupervised(self, code: Encoded, images: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            reconstructed = self.decoder(self.latent.unflatten(code.mu))
            scores = (reconstructed - images).abs().flatten(1).mean(1)
        return 1 - self.attention.of_latent(code), scores

    def _supervised(self, code: Encoded) -> tuple[Tensor, Tensor]:
        assert self.classifier is not None
        class_scores = self.classifier.logits(code.z)
        scores = self.classifier.softmax(class_scores)[:, ANOMALOUS]
        maps = self.attention.of_score(class_scores[:, ANOMALOUS], code.features)
        if self.gate:
            maps = maps * (scores > 0.5)[:, None, None]
        return maps, scores


def _settings(kind: type[Settings], option: str, entry: Mapping[str, Any] | None) -> Settings:
    known = [field.name for field in fields(kind)]
    for key in entry or {}:
        _check(option, key, known)
    return kind(**(entry or {}))


def _check(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ConfigError(f"CAVGA's option {option}: '{value}' is unknown; choose one of {', '.join(allowed)}")
