"""CAVGA-R: pretrained encoder and residual decoder (supplementary, Table 9)."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from cavga.networks import PRINTED_DEPTH, initialise_dcgan
from harness.training.backbones import backbone
from harness.training.weights import KNOWN, RANDOM

LAYERS = {
    "resnet18": {4: "layer1", 8: "layer2", 16: "layer3", 32: "layer4"},
    "efficientnet_lite0": {2: "layer1", 4: "layer2", 8: "layer3", 16: "layer5", 32: "layer7"},
}
"""The last layer of each stride, by network."""


class EncoderR(nn.Module):
    """A network's convolutional part, then layer 19's ReLU: torchvision's ResNet-18, as printed, or EfficientNet-Lite0.

    At a depth of 4, 3 or 2 what halves the image more often is left out. Another network than ResNet-18 gets a 1×1
    convolution to the channels that ResNet-18 has there.
    """

    def __init__(self, depth: int = PRINTED_DEPTH, network: str = "resnet18", weights: str = RANDOM) -> None:
        super().__init__()
        names = {stride: name for stride, name in LAYERS[network].items() if stride <= 2**depth}
        self.strides = {name: stride for stride, name in names.items()}
        self.title = KNOWN[network].title
        self.backbone = backbone(network, list(names.values()), weights)
        for layer in self.backbone.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = (
                    0.1  # ResNet-18's; at Lite0's 0.01 a short fit would be tested with ImageNet's statistics
                )
        self.weights_origin = self.backbone.origin
        self.channels, found = 64 * 2 ** (depth - 2), self.backbone.channels[names[2**depth]]
        self.project = nn.Identity() if found == self.channels else nn.Conv2d(found, self.channels, 1)
        self.relu = nn.ReLU()

    def stages(self, images: Tensor) -> dict[int, Tensor]:
        """Return the last tensor of each stride; the deepest are the features."""
        found = {self.strides[name]: value for name, value in self.backbone(images).items()}
        deepest = max(found)
        return found | {deepest: self.relu(self.project(found[deepest]))}

    def forward(self, images: Tensor) -> Tensor:
        """Return the rectified features (N,channels,h,w) of images (N,C,H,W) in [0,1]."""
        stages = self.stages(images)
        return stages[max(stages)]


class Add(nn.Module):
    """The sum of two layers' outputs, a module so that the layer table can see it."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return first + second."""
        return first + second


class ResidualUp(nn.Module):
    """One stage of the residual decoder: twice the size, then a 3×3 convolution, and a shortcut around both.

    The shortcut starts at the transposed convolution's own output: "output layer 1 + output layer 6".
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(before, after, 4, 2, 1)
        self.body = nn.Sequential(
            nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1), nn.BatchNorm2d(after), nn.ReLU(),
        )  # fmt: skip
        self.add = Add()

    def forward(self, z: Tensor) -> Tensor:
        """Return (N,after,2h,2w) of (N,before,h,w)."""
        raised = self.up(z)
        return self.add(raised, self.body(raised))


class DecoderR(nn.Module):
    """Four residual stages, a transposed convolution to the image's channels, sigmoid (Table 9).

    At a smaller depth the first stages are left out.
    """

    STAGES = (512, 256, 128, 64)

    def __init__(self, latent: int, channels: int, depth: int = PRINTED_DEPTH) -> None:
        super().__init__()
        widths = (latent, *self.STAGES[PRINTED_DEPTH - depth :])
        stages = [ResidualUp(a, b) for a, b in pairwise(widths)]
        self.body = nn.Sequential(*stages, nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1))
        self.sigmoid = nn.Sigmoid()
        initialise_dcgan(self)

    def logits(self, z: Tensor) -> Tensor:
        """Return the image (N,C,H,W) before the sigmoid."""
        return cast(Tensor, self.body(z))

    def forward(self, z: Tensor) -> Tensor:
        """Return the image (N,C,H,W) in [0,1]."""
        return self.sigmoid(self.logits(z))
