"""From a raw map of any size and sign to A in [0,1]; the paper does not print how (docs/attention.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

SCOPES = ("image", "batch", "data")


@dataclass(frozen=True)
class Scale:
    """What a normalisation measures raw maps (N,h,w) by: lowest and highest value, mean and deviation."""

    low: Tensor
    high: Tensor
    mean: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, raw: Tensor, over: str = "image") -> Self:
        """Return the scale of each map ("image", shapes (N,1,1)) or of all of them ("batch", shapes (1,1,1))."""
        axes = (1, 2) if over == "image" else (0, 1, 2)
        mean = raw.mean(axes, keepdim=True)
        deviation = ((raw - mean).square().mean(axes, keepdim=True) + 1e-12).sqrt()
        return cls(raw.amin(axes, keepdim=True), raw.amax(axes, keepdim=True), mean, deviation)

    @classmethod
    def unpack(cls, values: Tensor) -> Self:
        """Return what `pack` packed."""
        return cls(*values.view(4, 1, 1, 1))

    def pack(self) -> Tensor:
        """Return the four values (4,) of a scale over a batch."""
        return torch.stack([self.low, self.high, self.mean, self.deviation]).flatten()


def _min_max(raw: Tensor, scale: Scale) -> Tensor:
    return ((raw - scale.low) / (scale.high - scale.low).clamp_min(1e-12)).clamp(0, 1)


def _share_of_max(raw: Tensor, scale: Scale) -> Tensor:
    return (raw.relu() / scale.high.clamp_min(1e-12)).clamp_max(1)


NORMALISATIONS: dict[str, Callable[[Tensor, Scale], Tensor]] = {
    "sigmoid": lambda raw, scale: torch.sigmoid(raw),
    "standardised_sigmoid": lambda raw, scale: torch.sigmoid((raw - scale.mean) / scale.deviation),
    "min_max": _min_max,
    "share_of_max": _share_of_max,
}


def normalise(raw: Tensor, how: str, over: str = "image", learnt: Scale | None = None) -> Tensor:
    """Return A (N,h,w) in [0,1] of raw maps.

    Args:
        raw: float32 (N,h,w).
        how: a key of `NORMALISATIONS`; the plain "sigmoid" needs no scale.
        over: what the scale is taken from: each "image", the "batch", or "data" (`learnt`; values beyond it are cut).
        learnt: the scale of the training images' raw maps.
    """
    scale = learnt if over == "data" and learnt is not None else Scale.of(raw, over)
    return NORMALISATIONS[how](raw, scale)
