"""ADVAE: gradient attention from a VAE's latent code shows what the code responds to.

Source: Liu et al., "Towards Visually Explaining Variational Autoencoders" (CVPR 2020), its public code, and the ML
Reproducibility Challenge's study of it (Brongers et al., 2020) for the 256² network.

Certain: the objective (cross-entropy summed over pixels + KL, no weight); the small network, 32 latent elements and
Adam with 1e-3; the attention, Grad-CAM from latent elements to a convolution: α_k = mean_pq ∂z/∂A_k^pq, M = Σ_k α_k
A_k; the authors' code takes |M| for the sum of all μ_i (`map_mode` "code", the default). The paper's text rectifies one
map per latent element and averages them ("paper"), and takes z from the difference of the normal training set's
distribution and the image's, N(μ^x - μ^y, (σ^x)² + (σ^y)²) (`latent` "difference").

Ours: μ^x and σ^x are mean and total variance of the aggregated posterior of the training images. Draws from the
difference distribution use noise fixed at construction, `draws` times, so that an image's map never depends on its
batch. `sign` turns the gradient's sign for rectified maps, everywhere alike. The ResNet's target is its second stage.
The source scores no whole images. "maximum" is the map's largest window mean, for images of 64 pixels and more; "nelbo"
is the VAE's own cross-entropy + KL at z = μ, for smaller ones, because there the attention follows how much is drawn,
not what (scikit-learn's digits: about chance); "difference" is Σ_i (μ_i^x - μ_i^y)²/((σ_i^x)² + (σ_i^y)²).

Deviations: the authors divide gradients by their root mean square over the batch, which would let an image's map depend
on its batch; here it is left out. The ResNet's target is the stage's output behind its ReLU, where the reproduction
reads the first convolution of the stage's last block, which has no sign. "team" is the reproduction's map, mean_k |α_k
A_k|. The weights are the last ones, where the sources keep those with the lowest loss on test or training images. The
reproduction's rotation of half a degree gives way to the protocol's. That study could not support the paper's claim on
textures and objects.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.advae_networks import AttentionVae, plain_vae, resnet_vae
from baselines.inputs import Shape, image_batches, one_of
from baselines.vae import Posterior, broad_maximum, cross_entropy, gradients
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

SMALL = 64
LAYERS = {"plain": 2, "resnet": 4}


class Advae(Detector):
    """A VAE whose latent code is explained by Grad-CAM; strong responses count as anomalous.

    Args:
        shape: (C,H,W) of the images; square, side 4 times a power of two.
        network: "plain" or "resnet"; None takes "plain" below 64 pixels.
        latent_size: elements of z.
        stem: of the ResNet: "reproduction" or "torchvision".
        layer: the target, a convolution (plain: 1 or 2) or a stage (resnet: 1 to 4).
        map_mode: "code", "paper" or "team".
        latent: what is differentiated: "mean" (μ of the image) or "difference" (a draw from the difference).
        draws: how many draws from the difference distribution are averaged.
        sign: 1 or -1, times the gradient; matters to rectified maps only.
        score: which of "maximum" (of the map), "difference" and "nelbo" is the method's own; None takes "nelbo" below
            64 pixels, else "maximum". The fit gives all three by name.
    """

    noise: Tensor
    normal_mean: Tensor
    normal_variance: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        network: str | None = None,
        latent_size: int = 32,
        stem: str = "reproduction",
        layer: int = 2,
        map_mode: str = "code",
        latent: str = "mean",
        draws: int = 1,
        sign: int = 1,
        score: str | None = None,
    ) -> None:
        super().__init__(shape)
        small = shape[-1] < SMALL
        self.score = one_of("score", score or ("nelbo" if small else "maximum"), ("maximum", "difference", "nelbo"))
        network = one_of("network", network or ("plain" if small else "resnet"), LAYERS)
        if not 1 <= layer <= LAYERS[network]:
            raise ConfigError(f"option layer: {layer} is unknown; the {network} network has 1 to {LAYERS[network]}")
        self.map_mode = one_of("map_mode", map_mode, MAP_MODES)
        self.latent, self.sign = one_of("latent", latent, ("mean", "difference")), sign
        plain = network == "plain"
        self.vae: AttentionVae = (
            plain_vae(shape, latent_size, layer) if plain else resnet_vae(shape, latent_size, layer, stem)
        )
        self.register_buffer("noise", torch.randn(draws, latent_size))
        self.register_buffer("normal_mean", torch.zeros(latent_size))
        self.register_buffer("normal_variance", torch.ones(latent_size))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Minimise cross-entropy + KL with Adam, then gather the normal images' latent statistics."""
        optimizer = torch.optim.Adam(self.parameters(), lr=run.training.learning_rate, fused=True)

        def loss(batch: Batch) -> Losses:
            with run.autocast():
                posterior = self.vae.encode(batch.images)
                logits = self.vae.decoder(posterior.sample())
            reconstruction = cross_entropy(batch.images, logits).mean()
            divergence = posterior.divergence().mean()
            return {
                "loss": reconstruction + divergence,
                "reconstruction": reconstruction,
                "divergence": divergence,
            }

        run.loop(self, train.images, [Phase(optimizer, loss)])
        self.eval()
        self._gather(train.images, run.device)

    @torch.no_grad()
    def _gather(self, images: np.ndarray, device: torch.device) -> None:
        posteriors = [self.vae.encode(batch) for batch in image_batches(images, device)]
        means = torch.cat([posterior.mean for posterior in posteriors])
        variances = torch.cat([posterior.log_variance.exp() for posterior in posteriors])
        self.normal_mean = means.mean(0)
        self.normal_variance = variances.mean(0) + means.var(0, unbiased=False)

    def codes(self, posterior: Posterior) -> Tensor:
        """Return what is differentiated, (S,N,D): μ itself, or S draws from the difference distribution."""
        if self.latent == "mean":
            return posterior.mean[None]
        spread = (self.normal_variance + posterior.log_variance.exp()).sqrt()
        return self.normal_mean - posterior.mean + self.noise[:, None] * spread

    def difference(self, posterior: Posterior) -> Tensor:
        """Return Σ_i (μ_i^x - μ_i^y)² / ((σ_i^x)² + (σ_i^y)²) per image (N,): how far it lies from the normal ones."""
        spread = self.normal_variance + posterior.log_variance.exp()
        return ((self.normal_mean - posterior.mean).square() / spread).sum(1)

    def attention(self, images: Tensor) -> tuple[Tensor, Posterior]:
        """Return attention maps (N,h,w) of images (N,C,H,W), as large as the target layer's, and their posteriors."""
        with torch.no_grad():
            features = self.vae.features(images)
        features = features.detach().requires_grad_()
        posterior = Posterior.of(self.vae.head(features))
        modes: Callable[[Tensor, Tensor, int], Tensor] = MAP_MODES[self.map_mode]
        return torch.stack([modes(code, features, self.sign) for code in self.codes(posterior)]).mean(0), posterior

    def predict(self, images: Tensor) -> Prediction:
        """Map images (N,C,H,W) by attention, upsampled bilinearly to their size."""
        with gradients(images.device):
            maps, posterior = self.attention(images.clone())
        maps = F.interpolate(maps[:, None], self.shape[1:], mode="bilinear", align_corners=False).squeeze(1)
        logits = self.vae.decoder(posterior.mean)
        scores = {
            "maximum": broad_maximum(maps),
            "difference": self.difference(posterior),
            "nelbo": cross_entropy(images, logits) + posterior.divergence(),
        }
        return Prediction(maps, {"": scores[self.score], **scores})


def _weighted(values: Tensor, features: Tensor) -> Tensor:
    """Return α_k A_k (N,K,h,w) for one scalar per image (N,)."""
    (gradient,) = torch.autograd.grad(values.sum(), features, retain_graph=True)
    return gradient.mean((2, 3), keepdim=True) * features.detach()


def code_map(codes: Tensor, features: Tensor, sign: int) -> Tensor:
    """Return |Σ_k α_k A_k| for the sum of all latent elements."""
    return (sign * _weighted(codes.sum(1), features).sum(1)).abs()


def paper_map(codes: Tensor, features: Tensor, sign: int) -> Tensor:
    """Return the mean over latent elements i of ReLU(Σ_k α_k^i A_k): one backward pass an element."""
    maps = [(sign * _weighted(element, features).sum(1)).relu() for element in codes.unbind(1)]
    return torch.stack(maps).mean(0)


def team_map(codes: Tensor, features: Tensor, sign: int) -> Tensor:
    """Return mean_k |α_k A_k| for the sum of all latent elements."""
    return (sign * _weighted(codes.sum(1), features)).abs().mean(1)


MAP_MODES = {"code": code_map, "paper": paper_map, "team": team_map}
