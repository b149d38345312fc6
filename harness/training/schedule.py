"""How long and how fast a method trains: the part of a protocol that a fit reads. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError


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
        schedule: "step" (`lr_decay_every`, `lr_factor`) or "cosine" (to zero at the end).
        lr_decay_every: share of the run after which the rates are multiplied by `lr_factor`, again and again.
        lr_factor: 1 keeps the rates.
        warm_up: share of the run in which the rates climb from zero; the schedule's shares count from its end.
        precision: "auto", "float32" or "bfloat16" where a method wants another than the protocol's; None takes that.
        augmentation: of training batches. None has not been decided: a method that trains is then refused.
    """

    batch_size: int = 16
    epochs: int | None = None
    images_seen: int | None = None
    samples_per_epoch: int | None = None
    learning_rate: float = 1e-4
    schedule: str = "step"
    lr_decay_every: float = 0.2
    lr_factor: float = 0.1
    warm_up: float = 0.0
    precision: str | None = None
    augmentation: Augmentation | None = None

    @classmethod
    def from_config(cls, entry: Mapping[str, Any]) -> Training:
        """Build from a merged configuration mapping; the schema has already checked its keys."""
        if entry.get("augmentation") is None:
            return cls(**entry)
        augmentation = dict(entry["augmentation"])
        if "centre_crop" in augmentation:
            augmentation["centre_crop"] = tuple(augmentation["centre_crop"])
        return cls(**{**entry, "augmentation": Augmentation(**augmentation)})

    def require_stated(self) -> Augmentation:
        """Return the augmentation. Raises ConfigError unless augmentation and budget were decided for this method."""
        if self.images_seen is None and self.epochs is None:
            raise ConfigError(
                "no budget for this method under this protocol: set training.images_seen or training.epochs for it, "
                "in the protocol's `methods` or in config/methods.yaml"
            )
        if self.augmentation is None:
            raise ConfigError(
                "no training.augmentation for this method: say it in its entry in config/methods.yaml "
                "({} or {flip: none} for none)"
            )
        return self.augmentation

    def total_steps(self, images: int) -> int:
        """Return the number of optimiser steps for a training set of `images` images (at least one)."""
        seen = self.images_seen or (self.epochs or 1) * (self.samples_per_epoch or images)
        return max(1, -(-seen // self.batch_size))

    def epoch_steps(self, images: int) -> int:
        """Return the number of steps in one epoch."""
        return max(1, -(-(self.samples_per_epoch or images) // self.batch_size))

    def rate_factor(self, fraction: float) -> float:
        """Return the factor on every learning rate once `fraction` of the run is done."""
        if fraction < self.warm_up:
            return fraction / self.warm_up
        done = (fraction - self.warm_up) / (1 - self.warm_up)
        if self.schedule == "cosine":
            return (1 + math.cos(math.pi * done)) / 2
        # 1e-9: step k of n with k/n == lr_decay_every must count as past the mark despite rounding
        return float(self.lr_factor ** int((done + 1e-9) / self.lr_decay_every))
