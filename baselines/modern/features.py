"""Patch descriptors from a frozen pretrained network, and what turns distances of patches into maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms.functional import gaussian_blur

from harness.training.backbones import backbone


class PatchFeatures(nn.Module):
    """Several layers of a frozen network as one grid of descriptors, the grid being the finest layer's.

    Args:
        encoder, encoder_weights, layers: see `harness.training.backbones.backbone`.
        pool: side of the mean over neighbouring cells that is taken in each layer first; 1 takes none.
        resize: how coarser layers are brought to the grid, "bilinear" or "nearest".

    Attributes:
        channels: length of a descriptor.
    """

    def __init__(
        self, encoder: str, encoder_weights: str, layers: Sequence[str], *, pool: int = 1, resize: str = "bilinear"
    ) -> None:
        super().__init__()
        self.backbone = backbone(encoder, layers, encoder_weights).freeze()
        self.pool, self.resize = pool, resize
        self.channels = sum(self.backbone.channels.values())
        self.origin = self.backbone.origin

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return descriptors (N,D,h,w) of images (N,C,H,W) in [0,1], float32."""
        with torch.autocast(images.device.type, enabled=False):
            outputs = [self.backbone(images)[layer] for layer in self.backbone.layers]
        grid = max(output.shape[-2:] for output in outputs)
        pooled = [F.avg_pool2d(output, self.pool, 1, self.pool // 2) if self.pool > 1 else output for output in outputs]
        return torch.cat([self._to_grid(output, grid) for output in pooled], dim=1)

    def _to_grid(self, output: Tensor, grid: Sequence[int]) -> Tensor:
        if output.shape[-2:] == grid:
            return output
        align = None if self.resize == "nearest" else False
        return F.interpolate(output, tuple(grid), mode=self.resize, align_corners=align)


def enlarge(distances: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Return distances of a grid (N,h,w) as smooth maps (N,H,W): bilinear, then a Gaussian of `sigma` pixels.

    The Gaussian has as many pixels as those of anomalib, four deviations either way.
    """
    maps = F.interpolate(distances[:, None], size, mode="bilinear", align_corners=False)
    if sigma <= 0:
        return maps[:, 0]
    width = 2 * int(4.0 * sigma + 0.5) + 1
    return gaussian_blur(maps, [width, width], [sigma, sigma])[:, 0]
