"""Tables 9 and 10, read off the networks themselves: forward hooks see every layer as it runs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cavga.model import Model
from cavga.networks import FlatLatent
from cavga.networks_r import Add, EncoderR

Row = dict[str, str]
Hook = Callable[[nn.Module, tuple[Tensor, ...], "Tensor | dict[str, Tensor]"], None]
WEAK = "weakly supervised"

OPERATIONS: dict[type[nn.Module], str] = {
    nn.Conv2d: "Conv 2D",
    nn.ConvTranspose2d: "ConvTr 2D",
    nn.BatchNorm2d: "BatchNorm",
    nn.ReLU: "ReLU",
    nn.Sigmoid: "Sigmoid",
    nn.Flatten: "Flatten",
    nn.Linear: "Linear",
    nn.Softmax: "Softmax",
}


def architecture_rows(model: Model) -> list[Row]:
    """Return one row per layer, in the order and with the columns of the printed tables' transcription.

    Keys: network, layer, operation, kernel, filters, stride, pad, output (height x width x channels), part.
    `part` says what the printed row does not: mean, log-variance, the number of convolutions.
    Layers of the weakly supervised head are numbered "W.S. 22", as in print.
    """
    channels, height, width = model.shape
    image = torch.zeros(1, channels, height, width, device=next(model.parameters()).device)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        with _walk("Encoder", _encoder_parts(model)) as rows:
            mu, _ = model.latent(model.encoder(image))
            if model.classifier is not None:
                model.classifier(mu)
        with _walk("Decoder", {model.decoder: ""}) as more:
            reconstruction = model.decoder(model.latent.unflatten(mu))
        with _walk("Discriminator", {model.discriminator: ""}) as last:
            model.discriminator(reconstruction)
    model.train(was_training)
    return [*rows, *more, *last]


def _encoder_parts(model: Model) -> dict[nn.Module, str]:
    parts: dict[nn.Module, str] = {model.encoder: ""}
    if isinstance(model.latent, FlatLatent):
        parts[model.latent.flatten] = "flat z"
    parts |= {model.latent.mu: "mean", model.latent.logvar: "log-variance"}
    if model.classifier is not None:
        parts[model.classifier] = WEAK
    return parts


@contextmanager
def _walk(network: str, parts: dict[nn.Module, str]) -> Iterator[list[Row]]:
    """Collect the rows of every layer that runs inside the context."""
    rows: list[Row] = []
    outputs: list[Tensor] = []
    numbers: dict[int, int] = {}

    def hook_for(part: str, pretrained: str) -> Hook:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | dict[str, Tensor]) -> None:
            if isinstance(output, dict):
                output = list(output.values())[-1]
            outputs.append(output)  # kept alive, so that no two tensors share an id
            row = _row(network, layer, inputs, output, numbers, pretrained)
            convolutions = _convolutions(layer)
            row["part"] = f"{convolutions} convolutions" if pretrained else part
            if not isinstance(layer, Add):
                # the paper counts ResNet-18 as the 18 layers of its name
                layers = (18 if "ResNet-18" in pretrained else convolutions) if pretrained else 1
                numbers[id(output)] = _count(rows) + layers
                label = f"1-{layers}" if pretrained else str(numbers[id(output)])
                row["layer"] = f"W.S. {label}" if part == WEAK else label
            rows.append(row)

        return hook

    handles = [
        layer.register_forward_hook(hook_for(part, pretrained))
        for root, part in parts.items()
        for layer, pretrained in _layers(root)
    ]
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


def _layers(root: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield the layers that stand for themselves, and a pretrained network as the one row that the paper gives it."""
    if isinstance(root, EncoderR):
        yield root.backbone, f"pretrained {root.title} (convolution only)"
        root = nn.Sequential(root.project, root.relu)
    for layer in root.modules():
        if not any(layer.children()) and not isinstance(layer, nn.Identity):
            yield layer, ""


def _count(rows: list[Row]) -> int:
    last = next((row["layer"] for row in reversed(rows) if row["layer"] != "-"), "0")
    return int(re.split("[- ]", last)[-1])


def _convolutions(layer: nn.Module) -> int:
    return sum(isinstance(module, nn.Conv2d) for module in layer.modules())


def _row(
    network: str,
    layer: nn.Module,
    inputs: tuple[Tensor, ...],
    output: Tensor,
    numbers: dict[int, int],
    pretrained: str,
) -> Row:
    row = dict.fromkeys(("network", "layer", "operation", "kernel", "filters", "stride", "pad", "output"), "")
    row |= {"network": network, "layer": "-", "output": _size(output)}
    if isinstance(layer, Add):
        first, second = (numbers[id(tensor)] for tensor in inputs)
        return row | {"operation": f"output layer {first} + output layer {second}"}
    if isinstance(layer, nn.LeakyReLU):
        return row | {"operation": f"Leaky ReLU ({layer.negative_slope:g})"}
    row["operation"] = pretrained or OPERATIONS[type(layer)]
    return row | (_specification(layer) if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) else {})


def _specification(layer: Any) -> Row:
    kernel, stride, pad = layer.kernel_size, layer.stride, layer.padding
    return {
        "kernel": f"{kernel[0]}x{kernel[1]}", "filters": str(layer.out_channels),
        "stride": str(stride[0]), "pad": str(pad[0]),
    }  # fmt: skip


def _size(output: Tensor) -> str:
    if output.ndim == 4:
        _, channels, height, width = output.shape
        return f"{height}x{width}x{channels}"
    return str(output.shape[1])
