"""Patches of images: random ones to train on, overlapping ones to score, and their maps put together again."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.errors import ConfigError


def random_patches(images: Tensor, size: int, count: int = 1, rotation: float = 0.0, mirror: bool = False) -> Tensor:
    """Cut `count` random size×size patches from each image (N,C,H,W); returns (N·count,C,size,size).

    Each patch is a rectangle turned by an angle drawn from [-rotation, +rotation] degrees and placed so that it lies
    inside the image wherever there is room ("random crops of rotated rectangular patches", Bergmann et al. 2019).
    Patches that are not turned keep the pixels as they are. `mirror` flips along either axis at random.
    """
    number, channels, height, width = images.shape
    check_patch(size, height, width)
    angle = (torch.rand(number, count, 1, 1) * 2 - 1) * math.radians(rotation)
    cos, sin = torch.cos(angle), torch.sin(angle)
    reach = (cos.abs() + sin.abs()) * (size - 1) / 2
    offset = torch.arange(size) - (size - 1) / 2
    signs = torch.randint(0, 2, (2, number, count, 1, 1)) * 2 - 1 if mirror else torch.ones(2, 1, 1, 1, 1)
    down, right = offset[:, None] * signs[0], offset[None, :] * signs[1]
    y = _centre(height, size, reach) + sin * right + cos * down
    x = _centre(width, size, reach) + cos * right - sin * down
    # pixel centres to grid_sample's coordinates, in which -1 and 1 are the first and the last pixel's centre
    grid = torch.stack([2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1], dim=-1)
    grid = grid.reshape(number, count * size, size, 2).to(images)
    patches = F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=True)
    patches = patches.reshape(number, channels, count, size, size).transpose(1, 2)
    return patches.reshape(number * count, channels, size, size)


def _centre(side: int, size: int, reach: Tensor) -> Tensor:
    """Draw centres from [reach, side - 1 - reach], on the lattice on which an unturned patch meets the pixels."""
    half, middle = (size - 1) / 2, (side - size) // 2
    low = torch.ceil(reach - half - 1e-4).clamp(max=middle)
    high = torch.floor(side - 1 - reach - half + 1e-4).clamp(min=middle)
    return low + torch.floor(torch.rand_like(reach) * (high - low + 1)) + half


def check_patch(size: int, height: int, width: int) -> None:
    """Raise ConfigError when a patch is larger than the image."""
    if size > min(height, width):
        raise ConfigError(f"option patch: {size} is larger than the {height}x{width} images; choose a smaller patch")


def starts(side: int, size: int, stride: int) -> list[int]:
    """Return where windows begin along a side: every `stride` pixels, and one flush with the end."""
    regular = list(range(0, side - size + 1, stride))
    return regular if regular[-1] == side - size else [*regular, side - size]


def map_by_patches(
    images: Tensor, score: Callable[[Tensor], Tensor], size: int, stride: int, at_once: int = 256
) -> Tensor:
    """Score overlapping patches of images (N,C,H,W) in batches and average their maps to (N,H,W).

    Args:
        images: whole images.
        score: takes patches (B,C,size,size), gives their anomaly maps (B,size,size).
        size: side of the square windows.
        stride: step between windows; a last row and column are added where it does not divide the rest.
        at_once: about how many patches are scored in one batch (at least one image's).
    """
    height, width = images.shape[-2:]
    check_patch(size, height, width)
    rows, columns = (_positions(side, size, stride, images.device) for side in (height, width))
    group = max(1, at_once // (len(rows) * len(columns)))
    return torch.cat([_map(part, score, rows, columns) for part in images.split(group)])


def _positions(side: int, size: int, stride: int, device: torch.device) -> Tensor:
    """Return the pixel indices (windows, size) of the windows along one side."""
    return (torch.tensor(starts(side, size, stride))[:, None] + torch.arange(size)).to(device)


def _map(images: Tensor, score: Callable[[Tensor], Tensor], rows: Tensor, columns: Tensor) -> Tensor:
    number, channels, height, width = images.shape
    (down, size), across = rows.shape, len(columns)
    patches = images[:, :, rows[:, None, :, None], columns[None, :, None, :]]
    patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, size, size)
    maps = score(patches).float().reshape(number, down, across, size, size)
    lines = maps.transpose(2, 3).reshape(number, down, size, across * size)
    lines = lines.new_zeros(number, down, size, width).index_add(-1, columns.flatten(), lines)
    total = lines.new_zeros(number, height, width).index_add(1, rows.flatten(), lines.flatten(1, 2))
    counts = [torch.bincount(index.flatten(), minlength=side) for index, side in ((rows, height), (columns, width))]
    return total / (counts[0][:, None] * counts[1][None, :])
