"""Image scores from anomaly maps."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def smoothed_maximum(maps: Tensor) -> Tensor:
    """Return the largest 3×3 mean of each map (N,H,W), as (N,).

    Bergmann et al. (2019) publish no image score; the mean keeps one noisy pixel from deciding.
    """
    return F.avg_pool2d(maps[:, None], 3, stride=1, padding=1, count_include_pad=False).amax((1, 2, 3))
