"""γ-VAE_g: a VAE with the best decoder variance, whose input is moved down the gradient of its own energy.

Source: Dehaene, Frigo, Combrexelle, Eline, "Iterative energy-based projection on a normal data manifold for anomaly
localization" (ICLR 2020); Bergmann et al. (2019) for the network; Dai & Wipf (2019) for the variance γ of the decoder,
Rybkin, Daniilidis, Levine (2021) for its closed form.

Certain: the projection x_{t+1} = x_t - α ∇E(x_t) ⊙ (x_t - f(x_t))² with E(x_t) = L_r(x_t) + λ‖x_t - x_0‖₁ and f the
deterministic autoencoder (z = μ), differentiated through f; the stop once L_r reaches its smallest value on training
images; the 128² network.

Ours: α = 0.5, λ = 0.05 and 25 steps are those of a third-party port, the paper's own were not readable. L_r = Σ(x-f)²
(`energy` "residual"); "scaled" divides it by 2γ, which makes the same α overshoot. γ never falls below exp(-8). Its
best value is the mean squared error, and each step takes that of its batch (`gamma` "closed"): moved by gradients
alone, from 1, it is not learned in under 500 steps. "learned" makes it a parameter with a learning rate of its own
(`gamma_rate`), which starts from the variance of the training images. The map is the squared difference of x_0 and x_T,
averaged over channels; `map_mode` "dssim" takes (1 - SSIM)/2 of gray values instead. Scores: mean of the map for images
below 64 pixels, else its largest window mean. 256² has one convolution more, as Bergmann et al. describe; 32² has two
halvings and z of 32 elements. `patch` trains on random patches and averages the maps of overlapping ones.

Deviations: whole images in the CAVGA-like configurations, where the source cuts 128² patches from 512² textures. Public
ports detach f(x_t) from the gradient; `detach` does so, the default does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from baselines.gamma_networks import SMALL, BergmannVae
from baselines.inputs import Shape, image_batches, one_of
from baselines.patches import map_by_patches, random_patches
from baselines.ssim import pad_border, ssim_map
from baselines.vae import Posterior, broad_maximum, gradients, per_image, squared_error
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

SMALLEST_LOG_GAMMA = -8.0
LOOKED_AT = 256
"""Training images whose variance a learned γ starts from."""


class GammaVae(Detector):
    """A γ-VAE; anomalies are what the gradient projection onto its manifold changes.

    Args:
        shape: (C,H,W) of the images; square, side 8 times a power of two.
        latent: elements of z; 100, and 32 below 64 pixels, if None.
        step: α of the projection.
        l1: λ of the projection.
        iterations: largest number of steps.
        stop_percentile: of the training images' L_r, at which an image's projection ends.
        energy: "residual" or "scaled" (by 1/2γ).
        detach: leave f out of the gradient, as public ports do.
        map_mode: "l2" or "dssim".
        score: "mean" or "maximum" of the map; None chooses by the images' size.
        gamma: "closed" takes the mean squared error of each batch, "learned" follows the gradient.
        gamma_rate: learning rate of log γ at the start, if it is learned.
        patch: side of the square patches to learn and to score; None takes whole images.
        stride: step between patches when an image is scored.
    """

    stop_residual: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        latent: int | None = None,
        step: float = 0.5,
        l1: float = 0.05,
        iterations: int = 25,
        stop_percentile: float = 0.0,
        energy: str = "residual",
        detach: bool = False,
        map_mode: str = "l2",
        score: str | None = None,
        gamma: str = "closed",
        gamma_rate: float = 0.01,
        patch: int | None = None,
        stride: int = 64,
    ) -> None:
        super().__init__(shape)
        seen = shape if patch is None else (shape[0], patch, patch)
        small = seen[-1] < SMALL
        self.patch, self.stride = patch, stride
        self.step, self.l1, self.iterations, self.detach = step, l1, iterations, detach
        self.stop_percentile, self.gamma_rate = stop_percentile, gamma_rate
        self.energy = one_of("energy", energy, ("residual", "scaled"))
        self.map_mode = one_of("map_mode", map_mode, ("l2", "dssim"))
        self.closed = one_of("gamma", gamma, ("closed", "learned")) == "closed"
        self.score = one_of("score", score or ("mean" if small else "maximum"), ("mean", "maximum"))
        self.network = BergmannVae(seen, latent or (32 if small else 100))
        self.log_gamma = nn.Parameter(torch.zeros(()), requires_grad=not self.closed)
        self.register_buffer("stop_residual", torch.zeros(()))

    @property
    def gamma(self) -> Tensor:
        """The decoder's variance."""
        return self.log_gamma.clamp_min(SMALLEST_LOG_GAMMA).exp()

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Minimise Σ_d (x-x̂)²/2γ + ½ log γ + KL with Adam, then measure where projections shall end."""
        groups: list[dict[str, Any]] = [{"params": self.network.parameters(), "lr": run.training.learning_rate}]
        if not self.closed:
            self._set_gamma(torch.tensor(float(np.var(train.images[:LOOKED_AT] / 255))))
            groups.append({"params": [self.log_gamma], "lr": self.gamma_rate})

        def loss(batch: Batch) -> Losses:
            images = self._cut(batch.images)
            with run.autocast():
                posterior = self.network.encode(images)
                reconstructions = self.network.decode(posterior.sample())
            return self.losses(images, reconstructions, posterior)

        run.loop(self, train.images, [Phase(torch.optim.Adam(groups, fused=True), loss)])
        self.eval()
        run.reseed("stop")
        self.stop_residual = self._smallest_residual(train.images, run.device)

    def _cut(self, images: Tensor) -> Tensor:
        return images if self.patch is None else random_patches(images, self.patch)

    def losses(self, images: Tensor, reconstructions: Tensor, posterior: Posterior) -> Losses:
        """Return the objective and its parts, each a mean over the batch."""
        error, size = squared_error(images, reconstructions).mean(), images[0].numel()
        if self.closed:
            self._set_gamma(error.detach() / size)
        gamma, divergence = self.gamma, posterior.divergence().mean()
        likelihood = error / (2 * gamma) + 0.5 * size * gamma.log()
        parts = {"mean_squared_error": error / size, "divergence": divergence, "gamma": gamma}
        return {"loss": likelihood + divergence, **parts}

    @torch.no_grad()
    def _set_gamma(self, value: Tensor) -> None:
        self.log_gamma.copy_(value.clamp_min(math.exp(SMALLEST_LOG_GAMMA)).log())

    @torch.no_grad()
    def _smallest_residual(self, images: np.ndarray, device: torch.device) -> Tensor:
        batches = (self._cut(batch) for batch in image_batches(images, device))
        parts = [squared_error(batch, self.network(batch)) for batch in batches]
        return torch.quantile(torch.cat(parts), self.stop_percentile / 100)

    def energies(self, images: Tensor, origins: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return E (N,), L_r = Σ(x-f)² (N,) and the residuals x - f(x) (N,C,H,W) of images that began as `origins`."""
        reconstructions = self.network(images)
        residuals = images - (reconstructions.detach() if self.detach else reconstructions)
        errors = per_image(residuals.square())
        scale = 0.5 / self.gamma.detach() if self.energy == "scaled" else 1.0
        return scale * errors + self.l1 * per_image((images - origins).abs()), errors, residuals

    def project(self, images: Tensor) -> Tensor:
        """Move images (N,C,H,W) towards the normal manifold; each stops alone, when its L_r is small enough."""
        current = images.clone()
        active = torch.arange(len(images), device=images.device)
        for _ in range(self.iterations):
            moving = current[active].requires_grad_()
            energies, errors, residuals = self.energies(moving, images[active])
            far = errors.detach() > self.stop_residual
            if not far.any():
                break
            (gradient,) = torch.autograd.grad(energies.sum(), moving)
            moved = (moving - self.step * gradient * residuals.square()).detach().clamp_(0, 1)
            active = active[far]
            current[active] = moved[far]
        return current

    def predict(self, images: Tensor) -> Prediction:
        """Compare images (N,C,H,W) with their projections, in float32 whatever the run's precision."""
        if self.patch is None:
            maps = self.changes(images)
        else:
            maps = map_by_patches(images, self.changes, self.patch, self.stride)
        return Prediction(maps, maps.mean((1, 2)) if self.score == "mean" else broad_maximum(maps))

    def changes(self, images: Tensor) -> Tensor:
        """Return what projection changes in images or patches (N,C,S,S), as maps (N,S,S)."""
        with gradients(images.device):
            projected = self.project(images.clone())
        return difference_map(images, projected, self.map_mode)


def difference_map(images: Tensor, others: Tensor, mode: str) -> Tensor:
    """Return how two batches (N,C,H,W) differ at each pixel (N,H,W): mean squared difference or (1 - SSIM)/2."""
    if mode == "l2":
        return (images - others).square().mean(1)
    return (1 - pad_border(ssim_map(images.mean(1, keepdim=True), others.mean(1, keepdim=True)))) / 2
