"""Grad-CAM from the latent z, or from a class score, to the encoder's last convolution (Fig. 2 of the paper).

Batched and differentiable: one backward pass through the heads alone gives the maps of all images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harness.errors import ConfigError


def grad_cam(score: Tensor, features: Tensor, *, relu: bool = False, create_graph: bool = False) -> Tensor:
    """Return raw maps (N,h,w), float32: Σ_k α_k F_k, α_k = mean_ij ∂score/∂F_kij (Selvaraju et al. 2017).

    Args:
        score: (N,), one scalar per image that depends on that image's features alone.
        features: (N,K,h,w), the last convolution's rectified output, part of the graph of `score`.
        relu: keep only what raises the score.
        create_graph: make the maps differentiable; costs a second pass through the heads, not the encoder.
    """
    (gradient,) = torch.autograd.grad(score.sum(), features, create_graph=create_graph, retain_graph=True)
    alpha = gradient.float().mean((2, 3), keepdim=True)
    raw = (alpha * features.float()).sum(1)
    return raw.relu() if relu else raw


class Latent(Protocol):
    """The part of an encoding that attention reads."""

    features: Tensor
    mu: Tensor
    z: Tensor


@dataclass(frozen=True)
class Attention:
    """Grad-CAM with its free choices.

    Attributes:
        scalar: what is differentiated in the unsupervised setting: "sum_mu", "sum_z" or "squared_mu".
        relu: clip the raw map at zero, as the original Grad-CAM does.
        normalisation: a key of `NORMALISATIONS`.
    """

    scalar: str = "sum_mu"
    relu: bool = False
    normalisation: str = "min_max"

    def __post_init__(self) -> None:
        for option, allowed in (("scalar", SCALARS), ("normalisation", NORMALISATIONS)):
            value = getattr(self, option)
            if value not in allowed:
                raise ConfigError(f"attention.{option}: '{value}' is unknown; choose of {', '.join(allowed)}")

    def of_latent(self, code: Latent, create_graph: bool = False) -> Tensor:
        """Return A (N,h,w) in [0,1] of the latent: the unsupervised setting."""
        return self.of_score(SCALARS[self.scalar](code), code.features, create_graph)

    def of_score(self, score: Tensor, features: Tensor, create_graph: bool = False) -> Tensor:
        """Return A (N,h,w) in [0,1] of a score (N,), such as a class score."""
        raw = grad_cam(score, features, relu=self.relu, create_graph=create_graph)
        return NORMALISATIONS[self.normalisation](raw)


SCALARS: dict[str, Callable[[Latent], Tensor]] = {
    "sum_mu": lambda code: code.mu.flatten(1).sum(1),
    "sum_z": lambda code: code.z.flatten(1).sum(1),
    "squared_mu": lambda code: 0.5 * code.mu.flatten(1).square().sum(1),
}


def _standardised(raw: Tensor) -> Tensor:
    centred = raw - raw.mean((1, 2), keepdim=True)
    return torch.sigmoid(centred * torch.rsqrt(centred.square().mean((1, 2), keepdim=True) + 1e-12))


def _min_max(raw: Tensor) -> Tensor:
    low, high = raw.amin((1, 2), keepdim=True), raw.amax((1, 2), keepdim=True)
    return (raw - low) / (high - low).clamp_min(1e-12)


def _share_of_max(raw: Tensor) -> Tensor:
    return raw.relu() / raw.amax((1, 2), keepdim=True).clamp_min(1e-12)


NORMALISATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "standardised_sigmoid": _standardised,
    "min_max": _min_max,
    "share_of_max": _share_of_max,
}
