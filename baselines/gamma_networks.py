"""Bergmann et al.'s autoencoder as a VAE, for γ-VAE_g (Dehaene et al. 2020 use it for all their variants)."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.inputs import Shape, halvings
from baselines.vae import Posterior

CODE_SIDE, SMALL = 8, 64
Layer = tuple[int, int, int, int]
"""Kernel, stride, padding, output channels."""


def bergmann_layers(shape: Shape) -> list[Layer]:
    """Return the convolutions from images (C,H,W) to the 8² map that the code is read from."""
    halve, keep = (4, 2, 1), (3, 1, 1)
    steps = halvings(shape, CODE_SIDE)
    if shape[-1] < SMALL:
        return [(*halve, 32)] * (steps - 1) + [(*keep, 32), (*halve, 64), (*keep, 64)]
    middle: list[Layer] = [(*keep, 32), (*halve, 64), (*keep, 64), (*halve, 128), (*keep, 64), (*keep, 32)]
    return [(*halve, 32)] * (steps - 2) + middle


class BergmannVae(nn.Module):
    """Bergmann et al.'s autoencoder with two heads for mean and log-variance; no normalisation layers."""

    def __init__(self, shape: Shape, latent: int) -> None:
        super().__init__()
        layers = bergmann_layers(shape)
        widths = [shape[0], *(layer[3] for layer in layers)]
        down: list[nn.Module] = []
        up: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[-1], CODE_SIDE), nn.LeakyReLU(0.2)]
        for (kernel, stride, padding, _), source, target in zip(layers, widths, widths[1:], strict=False):
            down += [nn.Conv2d(source, target, kernel, stride, padding), nn.LeakyReLU(0.2)]
        for (kernel, stride, padding, _), source, target in zip(
            layers[::-1], widths[::-1], widths[-2::-1], strict=False
        ):
            up += [nn.ConvTranspose2d(source, target, kernel, stride, padding), nn.LeakyReLU(0.2)]
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], 2 * latent, CODE_SIDE))
        self.decoder = nn.Sequential(*up[:-1], nn.Sigmoid())

    def encode(self, images: Tensor) -> Posterior:
        """Return q(z|x) of images (N,C,H,W)."""
        return Posterior.of(self.encoder(images))

    def decode(self, codes: Tensor) -> Tensor:
        """Return images (N,C,H,W) in [0,1] of codes (N,D)."""
        images: Tensor = self.decoder(codes[:, :, None, None])
        return images

    def forward(self, images: Tensor) -> Tensor:
        """Return f(x), the reconstruction through z = μ."""
        return self.decode(self.encode(images).mean)
