"""Grad-CAM from the latent z, or from a class score, to a layer of the encoder (Fig. 2 of the paper).

Batched and differentiable: one backward pass through the heads alone gives the maps of all images. What this comes to
for heads that are linear in the features, docs/attention.md says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from cavga.normalise import NORMALISATIONS, SCOPES, normalise
from harness.errors import ConfigError


def grad_cam(score: Tensor, features: Tensor, *, relu: bool = False, create_graph: bool = False) -> Tensor:
    """Return raw maps (N,h,w), float32: Σ_k α_k F_k, α_k = mean_ij ∂score/∂F_kij (Selvaraju et al. 2017).

    Args:
        score: (N,), one scalar per image that depends on that image's features alone.
        features: (N,K,h,w), the target layer's output, part of the graph of `score`.
        relu: keep only what raises the score.
        create_graph: make the maps differentiable; costs a second pass through the heads, not the encoder.
    """
    (gradient,) = torch.autograd.grad(score.sum(), features, create_graph=create_graph, retain_graph=True)
    alpha = gradient.float().mean((2, 3), keepdim=True)
    raw = (alpha * features.float()).sum(1)
    return raw.relu() if relu else raw


def grad_cam_of_each(read_out: Tensor, features: Tensor) -> Tensor:
    """Return the mean (N,h,w) over latent entries i of ReLU(Σ_k α_ik F_k), one Grad-CAM each (as Liu et al. 2020).

    `read_out` (I,K) are the weights α, which linear heads make the same for every image.
    """
    return F.conv2d(features.float(), read_out[:, :, None, None].float()).relu().mean(1)


class Latent(Protocol):
    """The part of an encoding that attention reads; `stages` holds the encoder's tensors by stride."""

    features: Tensor
    mu: Tensor
    logvar: Tensor
    z: Tensor
    stages: Mapping[int, Tensor]


SCALARS: dict[str, Callable[[Latent], Tensor]] = {
    "sum_mu": lambda code: code.mu.flatten(1).sum(1),
    "sum_z": lambda code: code.z.flatten(1).sum(1),
    "squared_mu": lambda code: 0.5 * code.mu.flatten(1).square().sum(1),
    "sum_logvar": lambda code: code.logvar.flatten(1).sum(1),
}
EACH = "each_mu"
LAST, HEADS, STAGES = "features", ("mu", "logvar"), ("stride_2", "stride_4", "stride_8", "stride_16")


@dataclass(frozen=True)
class Attention:
    """Grad-CAM with its free choices.

    Attributes:
        scalar: what is differentiated in the unsupervised setting: "sum_mu", "sum_z", "squared_mu", "sum_logvar", or
            "each_mu", every entry of mu by itself (`grad_cam_of_each`).
        target: where to: "features" (Table 9, after layer 19), "mu" and "logvar" (the outputs of layers 20 and 21, bias
            included), or "stride_2" … "stride_16", the encoder's last tensor of that stride.
        relu: clip the raw map at zero, as the original Grad-CAM does.
        normalisation: a key of `NORMALISATIONS`.
        over: what the scale is taken from, one of `SCOPES`.
    """

    scalar: str = "sum_mu"
    target: str = LAST
    relu: bool = False
    normalisation: str = "min_max"
    over: str = "image"

    def __post_init__(self) -> None:
        for option, allowed in (
            ("scalar", (*SCALARS, EACH)), ("target", (LAST, *HEADS, *STAGES)),
            ("normalisation", tuple(NORMALISATIONS)), ("over", SCOPES),
        ):  # fmt: skip
            value = getattr(self, option)
            if value not in allowed:
                raise ConfigError(f"attention.{option}: '{value}' is unknown; choose of {', '.join(allowed)}")
        if self.scalar == EACH and self.target != LAST:
            raise ConfigError(f"attention.scalar: '{EACH}' goes with target '{LAST}', not '{self.target}'")

    def check(self, supervised: bool, flat: bool, deepest: int) -> None:
        """Raise ConfigError where a network has no such map; `deepest` is its encoder's stride."""
        if self.target in HEADS and flat:
            raise ConfigError(f"attention.target: '{self.target}' of a flat z has no cells; take '{LAST}'")
        if self.target in STAGES and self.stride > deepest:
            raise ConfigError(f"attention.target: '{self.target}' is deeper than the encoder's stride of {deepest}")
        if supervised and (self.target == "logvar" or self.scalar == EACH):
            raise ConfigError("attention: the class score has no map of 'logvar' and none of 'each_mu'")
        if not supervised and (self.target == "logvar") != (self.scalar == "sum_logvar") and self.target in HEADS:
            raise ConfigError(f"attention: the scalar '{self.scalar}' does not depend on the target '{self.target}'")

    @property
    def stride(self) -> int:
        """The stride of a target "stride_…"."""
        return int(self.target.removeprefix("stride_"))

    def raw_of_latent(self, code: Latent, read_out: Callable[[], Tensor], create_graph: bool = False) -> Tensor:
        """Return the raw map (N,h,w) of the latent: the unsupervised setting. `read_out` gives (I,K) of the mean."""
        if self.scalar == EACH:
            return grad_cam_of_each(read_out(), code.features)
        return self.raw_of_score(SCALARS[self.scalar](code), code, create_graph)

    def raw_of_score(self, score: Tensor, code: Latent, create_graph: bool = False) -> Tensor:
        """Return the raw map (N,h,w) of a score (N,), such as a class score."""
        where = code.stages[self.stride] if self.target in STAGES else getattr(code, self.target)
        return grad_cam(score, where, relu=self.relu, create_graph=create_graph)

    def normalise(self, raw: Tensor) -> Tensor:
        """Return A (N,h,w) in [0,1]."""
        return normalise(raw, self.normalisation, self.over)
