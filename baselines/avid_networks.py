"""The two networks of AVID, and where the cells of its detector's grid lie in the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import ConfigError

GRID_MARGIN = 1.5
"""Cells by which the detector's grid starts inside the image: its last 4×4 convolution has no padding."""


def levels_for(height: int, width: int) -> int:
    """Return how often the inpainter halves an image: 5 times at 224 and 256 pixels, once less for each half of it."""
    levels = (min(height, width) // 7).bit_length() - 1
    if levels < 2 or height % 2**levels or width % 2**levels:
        raise ConfigError(f"AVID: {height}x{width} images; choose 28, 56, 112, 224 or 32, 64, 128, 256 pixels")
    return min(levels, 5)


class Inpainter(nn.Module):
    """A U-Net that cleans images (N,C,H,W) in [-1,1]."""

    def __init__(self, channels: int, levels: int = 5, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        inner = [min(4 * w, widths[-1]) for w in reversed(widths[:-1])]
        self.downs = nn.ModuleList(
            _down(before, after, norm=number > 0)
            for number, (before, after) in enumerate(zip([channels, *widths], widths, strict=False))
        )
        skips = [0, *reversed(widths[:-1])]
        self.ups = nn.ModuleList(
            _up(before + skip, after)
            for before, skip, after in zip([widths[-1], *inner], skips, [*inner, 2 * width], strict=True)
        )
        self.output = nn.Conv2d(2 * width, channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return clean images."""
        skips: list[Tensor] = []
        for down in self.downs:
            images = down(images)
            skips.append(images)
        images = self.ups[0](skips.pop())
        for up in self.ups[1:]:
            images = up(torch.cat([images, skips.pop()], 1))
        return torch.tanh(self.output(images))


class PatchDetector(nn.Module):
    """Images (N,C,H,W) in [-1,1] -> logits (N,h,w) of being regular, one per overlapping region."""

    def __init__(self, channels: int, levels: int = 5, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        layers = [
            _down(before, after, norm=number > 0)
            for number, (before, after) in enumerate(zip([channels, *widths], widths[:-1], strict=False))
        ]
        last = [nn.Conv2d(widths[-2], widths[-1], 4), nn.BatchNorm2d(widths[-1]), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, *last, nn.Conv2d(widths[-1], 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.layers(images).squeeze(1)


def _down(before: int, after: int, *, norm: bool) -> nn.Sequential:
    batch_norm = [nn.BatchNorm2d(after)] if norm else []
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), *batch_norm, nn.LeakyReLU(0.2))


def _up(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU())


def place_grid(grid: Tensor, height: int, width: int) -> Tensor:
    """Enlarge the detector's grid (N,h,w) to (N,height,width): bilinear between cells' centres, flat outside."""
    axes = []
    for side, cells in ((height, grid.shape[1]), (width, grid.shape[2])):
        step = side / (cells + 2 * GRID_MARGIN)
        cell = (torch.arange(side, device=grid.device) + 0.5) / step - GRID_MARGIN - 0.5
        axes.append(2 * cell / max(cells - 1, 1) - 1)
    y, x = torch.meshgrid(*axes, indexing="ij")
    where = torch.stack([x, y], -1).expand(len(grid), -1, -1, -1).to(grid.dtype)
    return F.grid_sample(grid[:, None], where, padding_mode="border", align_corners=True).squeeze(1)
