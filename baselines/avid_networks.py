"""The networks of AVID, and where the cells of its detector's grid lie in the image."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import ConfigError

WIDER = (8 / 3, 16 / 3, 32 / 3)
"""Widths at the end of the second author's detector, in units of its first one: 256, 512, 1024 of 96."""


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


class GridDetector(nn.Module):
    """The second author's detector: images (N,C,H,W) in [-1,1] -> judgements (N,h,w), 1 for regular regions.

    11×11, 3×3 and 5×5 convolutions without padding, pointwise ones behind each, no normalisation. At 224 pixels a cell
    sees 51 of them and the next lies 16 further. Smaller images have a smaller first stride, which keeps the grid.

    Attributes:
        first, step: the pixel at the first cell's centre, and from there to the next one's.
    """

    def __init__(self, channels: int, levels: int = 5, width: int = 96) -> None:
        super().__init__()
        stride, kernel = 2 ** max(levels - 3, 0), 11 if levels > 3 else 5
        narrow, half, whole = (round(width * share) for share in WIDER)
        layers: list[nn.Module] = []
        plan = ((kernel, stride, (width,) * 3), (3, 2, (width,) * 3), (5, 2, (narrow, half, whole, whole)))
        for side, step, widths in plan:
            for number, after in enumerate(widths):
                layers += [nn.Conv2d(channels, after, *((side, step) if number == 0 else (1, 1))), nn.ReLU()]
                channels = after
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, 1, 1, bias=False))
        self.first, self.step = (kernel - 1 + 2 * stride + 8 * stride) / 2, 4 * stride

    def forward(self, images: Tensor) -> Tensor:
        """Return judgements."""
        return self.layers(images).squeeze(1)


class PatchDetector(nn.Module):
    """The detector of public ports, with batch normalisation: images (N,C,H,W) in [-1,1] -> judgements (N,h,w).

    At 224 pixels a cell sees 94 of them. Attributes as in GridDetector.
    """

    def __init__(self, channels: int, levels: int = 5, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        layers = [
            _down(before, after, norm=number > 0)
            for number, (before, after) in enumerate(zip([channels, *widths], widths[:-1], strict=False))
        ]
        last = [nn.Conv2d(widths[-2], widths[-1], 4), nn.BatchNorm2d(widths[-1]), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, *last, nn.Conv2d(widths[-1], 1, 1))
        self.step = 2 ** (levels - 1)
        self.first = 2 * self.step - 0.5

    def forward(self, images: Tensor) -> Tensor:
        """Return judgements."""
        return self.layers(images).squeeze(1)


def _down(before: int, after: int, *, norm: bool) -> nn.Sequential:
    batch_norm = [nn.BatchNorm2d(after)] if norm else []
    return nn.Sequential(nn.Conv2d(before, after, 4, 2, 1), *batch_norm, nn.LeakyReLU(0.2))


def _up(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(before, after, 4, 2, 1), nn.BatchNorm2d(after), nn.ReLU())


def place_grid(grid: Tensor, height: int, width: int, first: float, step: float) -> Tensor:
    """Enlarge the detector's grid (N,h,w) to (N,height,width): bilinear between cells' centres, flat outside."""
    axes = []
    for side, cells in ((height, grid.shape[1]), (width, grid.shape[2])):
        cell = (torch.arange(side, device=grid.device) - first) / step
        axes.append(2 * cell / max(cells - 1, 1) - 1)
    y, x = torch.meshgrid(*axes, indexing="ij")
    where = torch.stack([x, y], -1).expand(len(grid), -1, -1, -1).to(grid.dtype)
    return F.grid_sample(grid[:, None], where, padding_mode="border", align_corners=True).squeeze(1)
