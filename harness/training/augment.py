"""Augmentation of whole batches on the device (supplementary, section 2: random centre crop, rotation)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.training.schedule import Augmentation


def augment(images: Tensor, how: Augmentation) -> Tensor:
    """Rotate, centre-crop, shift and mirror each image (N,C,H,W) at random, in one resampling.

    One affine grid does it all, so every image is interpolated once. What the rotation brings in from outside is
    filled by reflection. Draws from torch's default generator.
    """
    if how == Augmentation():
        return images
    count, device = len(images), images.device
    angle = (torch.rand(count) * 2 - 1) * math.radians(how.rotation)
    smallest, largest = how.centre_crop
    scale = smallest + (largest - smallest) * torch.rand(count)
    mirror_x = _signs(count, how.flip in {"horizontal", "both"})
    mirror_y = _signs(count, how.flip == "both")
    shift = (torch.rand(count, 2) * 2 - 1) * 2 * how.translation
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    aspect = images.shape[-2] / images.shape[-1]
    rows = torch.stack(
        [cos * mirror_x, -sin * mirror_y * aspect, shift[:, 0],
         sin * mirror_x / aspect, cos * mirror_y, shift[:, 1]], dim=1,
    )  # fmt: skip
    grid = F.affine_grid(rows.view(count, 2, 3).to(device), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _signs(count: int, random: bool) -> Tensor:
    return torch.randint(0, 2, (count,)).float() * 2 - 1 if random else torch.ones(count)


def random_patches(images: Tensor, size: int) -> Tensor:
    """Cut one random size×size patch from each image (N,C,H,W), in one gather."""
    count, channels, height, width = images.shape
    top = torch.randint(0, height - size + 1, (count,), device=images.device)
    left = torch.randint(0, width - size + 1, (count,), device=images.device)
    rows = top[:, None] + torch.arange(size, device=images.device)
    columns = left[:, None] + torch.arange(size, device=images.device)
    return images[
        torch.arange(count, device=images.device)[:, None, None, None],
        torch.arange(channels, device=images.device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]
