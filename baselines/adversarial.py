"""What the adversarially trained baselines share: DCGAN's first weights, images in [-1,1], networks that look on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def signed(images: Tensor) -> Tensor:
    """Scale images from [0,1] to [-1,1], the range of tanh."""
    return images * 2 - 1


def dcgan_weights(module: nn.Module) -> None:
    """Draw convolutions from N(0, 0.02²) and batch normalisation's gains from N(1, 0.02²); for `Module.apply`."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, _BatchNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)


@contextmanager
def looking_on(*modules: nn.Module) -> Iterator[None]:
    """Keep the running statistics of batch normalisation unchanged while another network is trained.

    The layers still normalise with the batch at hand, so gradients through them are those of training.
    """
    layers = [layer for module in modules for layer in module.modules() if isinstance(layer, _BatchNorm)]
    tracked = [layer.track_running_stats for layer in layers]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer, before in zip(layers, tracked, strict=True):
            layer.track_running_stats = before
