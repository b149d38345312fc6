"""Parts that CAVGA-R and CAVGA-D share: latent heads, classifier, discriminator, depth (Tables 9 and 10).

The printed networks halve a 256² image five times, to an 8×8×512 latent. Smaller images use the same networks
with the deepest stages left out: `depth` is the number of halvings that stay (see `default_depth`). So at 128² CAVGA-R
has no `layer4` and 256 channels in z; `depth: 5` keeps everything and leaves 4×4 cells.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn

from harness.errors import ConfigError

PRINTED_DEPTH = 5
LEAKY_SLOPE = 0.2
Shape = tuple[int, int, int]


def default_depth(side: int) -> int:
    """Return how many halvings an image of `side` pixels gets.

    256 and more: 5, as printed. 128: 4 and 64: 3, which keeps the printed 8×8 cells of latent and attention map.
    Below 64 localisation is not asked for: 32 gets the printed 5, which leave one cell of 512 values, where 3 leave
    4,096 values for 1,024 pixels (docs/attention.md has what either gives).
    """
    cells = 8 if side >= 64 else 1
    return min(PRINTED_DEPTH, max(2, (side // cells).bit_length() - 1))


def check_sides(shape: Shape, depth: int) -> None:
    """Raise ConfigError unless `depth` halvings leave whole cells of an image (C,H,W)."""
    step = 2**depth
    if not 2 <= depth <= PRINTED_DEPTH:
        raise ConfigError(f"depth {depth}: CAVGA's networks halve an image 2 to {PRINTED_DEPTH} times; set `depth` so")
    if any(side % step for side in shape[1:]):
        raise ConfigError(
            f"image size {shape[1]}x{shape[2]} with depth {depth}: both sides must be multiples of {step}; "
            "change the protocol's `size` or the option `depth`"
        )


class Encoder(Protocol):
    """Images (N,C,H,W) to rectified features (N,channels,H/2^depth,W/2^depth) of the last convolution."""

    channels: int
    weights_origin: str

    def stages(self, images: Tensor) -> dict[int, Tensor]:
        """Return the last tensor of each stride 2, 4, 8 …; the deepest are the features."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features."""
        ...


class ConvLatent(nn.Module):
    """Two parallel 1×1 convolutions: mean and log-variance of a spatial z (Table 9, layers 20 and 21)."""

    def __init__(self, features: Shape) -> None:
        super().__init__()
        self.shape = features
        self.mu = nn.Conv2d(features[0], features[0], 1)
        self.logvar = nn.Conv2d(features[0], features[0], 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (N,C,h,w)."""
        return self.mu(features), self.logvar(features)

    def read_out(self) -> Tensor:
        """Return Grad-CAM's weights (C,C) from each channel of the mean to each of the features."""
        return self.mu.weight[:, :, 0, 0]

    def unflatten(self, z: Tensor) -> Tensor:
        """Return z as the decoder takes it."""
        return z


class FlatLatent(nn.Module):
    """Mean and log-variance of a flattened z: the base architecture R* of Table 8.

    The size of z is not printed; 100 follows the autoencoders of Bergmann et al., with which it compares.
    """

    def __init__(self, features: Shape, size: int = 100) -> None:
        super().__init__()
        self.shape = (size,)
        count = features[0] * features[1] * features[2]
        self.flatten = nn.Flatten()
        self.mu = nn.Linear(count, size)
        self.logvar = nn.Linear(count, size)
        self.expand = nn.Linear(size, count)
        self.features = features

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log-variance, each (N,size)."""
        flat = self.flatten(features)
        return self.mu(flat), self.logvar(flat)

    def read_out(self) -> Tensor:
        """Return Grad-CAM's weights (size,C) from each entry of the mean to each channel of the features."""
        return self.mu.weight.view(-1, *self.features).mean((2, 3))

    def unflatten(self, z: Tensor) -> Tensor:
        """Return z as the decoder takes it: (N,C,h,w)."""
        return self.expand(z).view(-1, *self.features)


class Classifier(nn.Module):
    """The weakly supervised head C: flatten z, one linear layer, two classes (Table 9, layers 22 to 24)."""

    def __init__(self, latent: tuple[int, ...]) -> None:
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(int(torch.Size(latent).numel()), 2)
        self.softmax = nn.Softmax(dim=1)

    def logits(self, z: Tensor) -> Tensor:
        """Return the scores (N,2) of the classes normal and anomalous, before the softmax."""
        return self.linear(self.flatten(z))

    def forward(self, z: Tensor) -> Tensor:
        """Return the probabilities (N,2)."""
        return self.softmax(self.logits(z))


class Discriminator(nn.Sequential):
    """DCGAN's discriminator, cut at an 8×8×512 map (Tables 9 and 10, layers 1 to 13).

    The printed network ends in the sigmoid of that map, not in a scalar: each entry is the probability that
    its patch belongs to a real image, and `losses.adversarial` averages over them.
    """

    STAGES = (64, 128, 256, 512, 512)

    def __init__(self, channels: int, depth: int = PRINTED_DEPTH) -> None:
        stages = self.STAGES[:depth]
        layers: list[nn.Module] = [nn.Conv2d(channels, stages[0], 4, 2, 1), nn.LeakyReLU(LEAKY_SLOPE)]
        for before, after in pairwise(stages[:-1]):
            layers += [nn.Conv2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.LeakyReLU(LEAKY_SLOPE)]
        layers += [nn.Conv2d(stages[-2], stages[-1], 4, 2, 1), nn.Sigmoid()]
        super().__init__(*layers)
        initialise_dcgan(self)

    def logits(self, images: Tensor) -> Tensor:
        """Return the map before the sigmoid, which the loss takes for the sake of its numerics."""
        for layer in list(self)[:-1]:
            images = layer(images)
        return images


def initialise_dcgan(module: nn.Module) -> None:
    """Draw weights as Radford et al. 2016: N(0, 0.02) for convolutions, N(1, 0.02) for batch norm's scale."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
            nn.init.zeros_(layer.bias)
