"""CAVGA-R: ResNet-18 encoder and residual decoder (supplementary, Table 9)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from cavga.networks import PRINTED_DEPTH, initialise_dcgan
from harness.training.backbones import resnet18

if TYPE_CHECKING:
    from torchvision.models import ResNet

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class EncoderR(nn.Module):
    """The convolutional part of torchvision's ResNet-18, then layer 19's ReLU.

    At a depth of 4, 3 or 2 the residual stages `layer4`, `layer3` and `layer2` are left out, deepest first.
    Images in [0,1] are first brought to the mean and deviation that the ImageNet weights were trained with.
    Grey images: the stem's weights are summed over the colours, as if the image were shown as R = G = B.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, depth: int = PRINTED_DEPTH, pretrained: bool = False) -> None:
        super().__init__()
        resnet, self.weights_origin = resnet18(pretrained)
        self.resnet = _convolutional_part(resnet, channels, depth)
        self.relu = nn.ReLU()
        self.channels = 64 * 2 ** (depth - 2)
        mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
        if channels != len(IMAGENET_MEAN):
            mean, std = mean.mean().expand(channels), std.mean().expand(channels)
        self.register_buffer("mean", mean.view(-1, 1, 1).clone(), persistent=False)
        self.register_buffer("std", std.view(-1, 1, 1).clone(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the rectified features (N,channels,h,w)."""
        return self.relu(self.resnet((images - self.mean) / self.std))


def _convolutional_part(resnet: ResNet, channels: int, depth: int) -> nn.Sequential:
    if channels != resnet.conv1.in_channels:
        weight = resnet.conv1.weight.detach()
        resnet.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
        shared = weight.sum(1, keepdim=True) / channels
        resnet.conv1.weight = nn.Parameter(shared.expand(-1, channels, -1, -1).clone())
    stages = [resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4][: depth - 1]
    return nn.Sequential(resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool, *stages)


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
