"""CAVGA-D: DCGAN's discriminator as encoder, its generator as decoder (supplementary, Table 10)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from cavga.networks import LEAKY_SLOPE, PRINTED_DEPTH, initialise_dcgan


class EncoderD(nn.Sequential):
    """Strided 4×4 convolutions; the last one is followed by batch norm and ReLU (layers 1 to 14).

    At a smaller depth the deepest convolutions are left out; the last one that stays keeps layers 13 and 14.
    The paper starts from weights trained on CelebA, which are not published; these start at random.
    """

    STAGES = (64, 128, 256, 512, 512)

    def __init__(self, channels: int, depth: int = PRINTED_DEPTH) -> None:
        stages = self.STAGES[:depth]
        layers: list[nn.Module] = [nn.Conv2d(channels, stages[0], 4, 2, 1), nn.LeakyReLU(LEAKY_SLOPE)]
        for before, after in pairwise(stages):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(LEAKY_SLOPE)]
        layers[-1] = nn.ReLU()
        super().__init__(*layers)
        self.channels = stages[-1]
        self.weights_origin = "random initialisation"
        initialise_dcgan(self)

    def stages(self, images: Tensor) -> dict[int, Tensor]:
        """Return the last tensor of each stride 2, 4, 8 …; the deepest are the features."""
        value, found = images, dict[int, Tensor]()
        for layer in self:
            value = layer(value)
            if isinstance(layer, nn.LeakyReLU | nn.ReLU):
                found[2 ** (len(found) + 1)] = value
        return found


class DecoderD(nn.Module):
    """Transposed 4×4 convolutions that double the size, then a 1×1 one to the image's channels, sigmoid.

    At a smaller depth the first stages are left out.
    """

    STAGES = (512, 512, 256, 128, 64)

    def __init__(self, latent: int, channels: int, depth: int = PRINTED_DEPTH) -> None:
        super().__init__()
        widths = (latent, *self.STAGES[PRINTED_DEPTH - depth :])
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], channels, 1, 1, 0))
        self.sigmoid = nn.Sigmoid()
        initialise_dcgan(self)

    def logits(self, z: Tensor) -> Tensor:
        """Return the image (N,C,H,W) before the sigmoid."""
        return cast(Tensor, self.body(z))

    def forward(self, z: Tensor) -> Tensor:
        """Return the image (N,C,H,W) in [0,1]."""
        return self.sigmoid(self.logits(z))
