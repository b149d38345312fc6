"""How an anomaly map is read off a trained model: everything here is chosen at test, so many readings share one fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cavga.attention import STAGES, Attention
from cavga.losses import ANOMALOUS
from cavga.model import Code, Model
from cavga.normalise import Scale, normalise
from harness.errors import ConfigError

RawKey = tuple[str, str, bool, bool]


@dataclass(frozen=True)
class Reading(Attention):
    """An `Attention` at test, and what is made of A.

    Attributes:
        over: "image", or "data": the scale of the normal training images, so that no image's map depends on its batch.
        opposite: turn the map round: A instead of 1 - A (u), 1 - A instead of A (w).
        sampled: draw z from the posterior, where otherwise its mean is taken.
    """

    opposite: bool = False
    sampled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over == "batch":
            raise ConfigError("over: 'batch' at test lets an image's map depend on its neighbours; take image or data")

    @property
    def raw_key(self) -> RawKey:
        """What the raw map depends on; readings with equal keys differ in its normalisation alone."""
        return self.scalar, self.target, self.relu, self.sampled

    @property
    def wants_scale(self) -> bool:
        """Whether the training images' raw maps have to be measured."""
        return self.over == "data" and self.normalisation != "sigmoid"


class Reader:
    """Codes, raw maps and scores of one batch (N,C,H,W), each computed once for all readings. Needs gradients."""

    def __init__(self, model: Model, images: Tensor) -> None:
        self.model, self.images = model, images
        self._codes: dict[tuple[bool, bool], Code] = {}
        self._raw: dict[RawKey, Tensor] = {}

    def code(self, sampled: bool, inside: bool = False) -> Code:
        """Return the code; gradients reach its features, or everything `inside` the encoder as well."""
        key = (sampled, inside)
        if key not in self._codes:
            if inside:
                self._codes[key] = self.model.encode(self.images, sampled)
            else:
                with torch.no_grad():
                    features = self.model.encoder(self.images)
                self._codes[key] = self.model.code(features.requires_grad_(), sampled)
        return self._codes[key]

    def raw(self, reading: Reading) -> Tensor:
        """Return the raw map (N,h,w): of the latent (u), of the anomalous class's score (w)."""
        if reading.raw_key not in self._raw:
            code = self.code(reading.sampled, reading.target in STAGES)
            if self.model.classifier is None:
                raw = reading.raw_of_latent(code, self.model.latent.read_out)
            else:
                raw = reading.raw_of_score(self.model.classifier.logits(code.z)[:, ANOMALOUS], code)
            self._raw[reading.raw_key] = raw.detach()
        return self._raw[reading.raw_key]

    def scores(self, sampled: bool) -> Tensor:
        """Return (N,): the mean |x - x̂| (u), the probability of the anomalous class (w)."""
        z = self.code(sampled).z.detach()
        with torch.no_grad():
            if self.model.classifier is None:
                return (self.model.decode(z) - self.images).abs().flatten(1).mean(1)
            return self.model.classifier(z)[:, ANOMALOUS]

    def map(self, reading: Reading, scale: Scale | None, upsampling: str) -> Tensor:
        """Return the anomaly map (N,H,W) in [0,1]: 1 - A (u) or A of the anomalous class (w)."""
        attention = normalise(self.raw(reading), reading.normalisation, reading.over, scale)
        weak = self.model.classifier is not None
        maps = attention if weak != reading.opposite else 1 - attention
        return F.interpolate(maps[:, None], self.images.shape[-2:], mode=upsampling)[:, 0]


def measure_scales(readings: Iterable[Reading], batches: Iterable[Tensor], model: Model) -> Tensor:
    """Return (R,4), the scale of each reading's raw maps over normal training images, as `Scale.pack` packs it.

    Mean and deviation are pooled over all cells. Called in eval mode.
    """
    readings = list(readings)
    raws: list[list[Tensor]] = [[] for _ in readings]
    for images in batches:
        reader = Reader(model, images)
        for found, reading in zip(raws, readings, strict=True):
            found.append(reader.raw(reading))
    return torch.stack([Scale.of(torch.cat(found), "batch").pack() for found in raws])
