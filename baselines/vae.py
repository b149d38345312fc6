"""What the variational autoencoders among the baselines share: posterior, divergence, gradients at test time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Posterior(NamedTuple):
    """A diagonal Gaussian q(z|x): mean and log-variance, both (N,D) in float32."""

    mean: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, parameters: Tensor) -> Posterior:
        """Split an encoder's output (N,2D), means first."""
        mean, log_variance = parameters.float().flatten(1).chunk(2, dim=1)
        return cls(mean, log_variance)

    def sample(self) -> Tensor:
        """Draw z = μ + σε with ε from torch's default generator."""
        return self.mean + torch.randn_like(self.mean) * torch.exp(0.5 * self.log_variance)

    def divergence(self) -> Tensor:
        """Return KL(q(z|x) || N(0,1)) per image (N,) in nats: -½ Σ 1 + log σ² - μ² - σ²."""
        terms = 1 + self.log_variance - self.mean.square() - self.log_variance.exp()
        return -0.5 * terms.sum(1)


def per_image(values: Tensor) -> Tensor:
    """Sum everything but the first axis."""
    return values.flatten(1).sum(1)


def squared_error(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Return Σ_d (x_d - x̂_d)² per image (N,), in float32."""
    return per_image((images.float() - reconstructions.float()).square())


def cross_entropy(images: Tensor, logits: Tensor) -> Tensor:
    """Return -Σ_d x log x̂ + (1-x) log(1-x̂) per image (N,), with x̂ = sigmoid(logits), in float32."""
    return per_image(F.binary_cross_entropy_with_logits(logits.float(), images.float(), reduction="none"))


def broad_maximum(maps: Tensor) -> Tensor:
    """Return the largest window mean of each map (N,H,W), as (N,).

    The window is 21 pixels wide on maps of 256² and keeps its share of the side on others (ours: the sources of
    these methods define no score for whole images of 256²).
    """
    half = round((21 * maps.shape[-1] / 256 - 1) / 2)
    windows = F.avg_pool2d(maps[:, None], 2 * half + 1, stride=1, padding=half, count_include_pad=False)
    return windows.amax((1, 2, 3))


@contextmanager
def gradients(device: torch.device) -> Iterator[None]:
    """Allow autograd and keep float32, whatever the caller's context; tensors made outside must be cloned first."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield
