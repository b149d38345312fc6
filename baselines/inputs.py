"""What several baselines ask of their input: sides that can be halved, known options, training images in batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import torch
from torch import Tensor

from harness.errors import ConfigError

Shape = tuple[int, int, int]
MOST = 256


def one_of(option: str, value: str, known: Collection[str]) -> str:
    """Return `value` if it is known. Raises ConfigError otherwise."""
    if value not in known:
        raise ConfigError(f"option {option}: '{value}' is unknown; choose one of {', '.join(known)}")
    return value


def halvings(shape: Shape, smallest: int) -> int:
    """Return how often images (C,H,W) are halved until their side is `smallest`.

    Raises ConfigError unless images are square and their side is `smallest` times a power of two, 2 or more.
    """
    _, height, width = shape
    steps = (width // smallest).bit_length() - 1
    if height != width or steps < 1 or smallest << steps != width:
        raise ConfigError(
            f"image size {height}x{width}: this network needs square images of side {smallest} times a power of two; "
            "change the protocol's `size` or the method's `network`"
        )
    return steps


def image_batches(images: np.ndarray, device: torch.device, pixels: int = 2**20) -> Iterator[Tensor]:
    """Yield uint8 images (N,H,W,C) in order, as float32 batches (B,C,H,W) in [0,1] of at most `pixels` on `device`."""
    size = max(1, min(MOST, pixels // (images.shape[1] * images.shape[2])))
    for start in range(0, len(images), size):
        part = torch.from_numpy(np.array(images[start : start + size])).to(device)  # memory-mapped arrays are read-only
        yield part.permute(0, 3, 1, 2).float().div_(255)
