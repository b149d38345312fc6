"""How long and how fast a method trains: the part of a protocol that a fit reads. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training batch, drawn per image.

    Attributes:
        rotation: degrees; each image is rotated by an angle drawn from [-rotation, +rotation].
        centre_crop: (smallest, largest) share of the side that a centred crop keeps before it is scaled back.
        flip: "none", "horizontal" or "both".
        translation: share of the side by which the image is moved at most, in each direction.
    """

    rotation: float = 0.0
    centre_crop: tuple[float, float] = (1.0, 1.0)
    flip: str = "none"
    translation: float = 0.0


@dataclass(frozen=True)
class Training:
    """One method's training settings after protocol, method and dataset entries are merged.

    Attributes:
        batch_size: images per optimiser step (the effective batch; memory may split it further).
        epochs: passes over `samples_per_epoch` samples; ignored where `images_seen` is set.
        images_seen: a fixed budget of training samples, whatever the category's size.
        samples_per_epoch: samples in one epoch; the number of training images if None.
        learning_rate: of the main optimiser at the start.
        lr_decay_every: share of the run after which the rates are multiplied by `lr_factor`, again and again.
        lr_factor: 1 keeps the rates.
    """

    batch_size: int = 16
    epochs: int = 150
    images_seen: int | None = None
    samples_per_epoch: int | None = None
    learning_rate: float = 1e-4
    lr_decay_every: float = 0.2
    lr_factor: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def from_config(cls, entry: Mapping[str, Any]) -> Training:
        """Build from a merged configuration mapping; the schema has already checked its keys."""
        augmentation = dict(entry.get("augmentation", {}))
        if "centre_crop" in augmentation:
            augmentation["centre_crop"] = tuple(augmentation["centre_crop"])
        return cls(**{**entry, "augmentation": Augmentation(**augmentation)})

    def total_steps(self, images: int) -> int:
        """Return the number of optimiser steps for a training set of `images` images (at least one)."""
        seen = self.images_seen or self.epochs * (self.samples_per_epoch or images)
        return max(1, -(-seen // self.batch_size))

    def epoch_steps(self, images: int) -> int:
        """Return the number of steps in one epoch."""
        return max(1, -(-(self.samples_per_epoch or images) // self.batch_size))

    def rate_factor(self, fraction: float) -> float:
        """Return the factor on every learning rate once `fraction` of the run is done."""
        # 1e-9: step k of n with k/n == lr_decay_every must count as past the mark despite rounding
        return float(self.lr_factor ** int((fraction + 1e-9) / self.lr_decay_every))
