"""Steps on images that several baselines share: loading, gray values, blur, rigid warps."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""ITU-R 601 weights, as Pillow's mode "L"."""


def to_images(pixels: np.ndarray, device: torch.device) -> Tensor:
    """Return uint8 images (N,H,W,C) as float32 (N,C,H,W) in [0,1] on `device`."""
    # a copy, because the arrays may be memory-mapped and read-only
    images = torch.from_numpy(np.array(pixels, order="C")).to(device)
    return images.permute(0, 3, 1, 2).float().div_(255)


def gray(images: Tensor) -> Tensor:
    """Return images (N,C,H,W) with one or three channels as luminance (N,1,H,W)."""
    if images.shape[1] == 1:
        return images
    weights = images.new_tensor(LUMA).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def blur(images: Tensor, sigma: float = 1.0) -> Tensor:
    """Smooth (N,1,H,W) with a Gaussian of `sigma` pixels; the border is reflected."""
    radius = round(4 * sigma)
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(images, [radius] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))


def warp(images: Tensor, angles: Tensor, shifts: Tensor, padding: str) -> Tensor:
    """Sample each image (N,C,H,W) at W(x) = R(angle)(x − c) + c + shift, with c the image's centre.

    Angles (N,) are in radians, shifts (N,2) are (x, y) in pixels; `padding` is grid_sample's: "border" or "zeros".
    """
    height, width = images.shape[-2:]
    half = images.new_tensor([width / 2, height / 2])
    x = torch.arange(width, dtype=images.dtype, device=images.device) + 0.5 - half[0]
    y = torch.arange(height, dtype=images.dtype, device=images.device) + 0.5 - half[1]
    cos, sin = torch.cos(angles).view(-1, 1, 1), torch.sin(angles).view(-1, 1, 1)
    at_x = cos * x - sin * y[:, None] + shifts[:, 0].view(-1, 1, 1)
    at_y = sin * x + cos * y[:, None] + shifts[:, 1].view(-1, 1, 1)
    grid = torch.stack([at_x / half[0], at_y / half[1]], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


Motion = tuple[Tensor, Tensor]
"""Angles (N,) and shifts (N,2) of `warp`."""


def inverse(angles: Tensor, shifts: Tensor) -> Motion:
    """Return the motion that undoes another one."""
    return -angles, -_turn(-angles, shifts)


def compose(first: Motion, then: Motion) -> Motion:
    """Return the motion of an image that is warped by `first`, and the result by `then`."""
    return first[0] + then[0], _turn(first[0], then[1]) + first[1]


def _turn(angles: Tensor, vectors: Tensor) -> Tensor:
    cos, sin = torch.cos(angles), torch.sin(angles)
    x, y = vectors.unbind(dim=1)
    return torch.stack([cos * x - sin * y, sin * x + cos * y], dim=1)
