"""Connected regions: their areas, per-region overlap (PRO) at every threshold and the area under its curve.

Definition: Bergmann et al., IJCV 2021, section 5.2. Regions are 8-connected components of the masks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.metrics.histogram import CODES, Curve, PixelCurves, marked_from

_EIGHT = np.ones((3, 3), bool)


def _label(binary: NDArray) -> tuple[NDArray[np.int32], int]:
    """Number the 8-connected components of a binary image (H,W) from 1 on; return them and how many there are."""
    from scipy import ndimage  # a tenth of a second, which readers of the declarations do not need

    labels, count = ndimage.label(binary, _EIGHT)
    return labels, int(count)


def component_areas(binary: NDArray) -> NDArray[np.int64]:
    """Return the areas, in pixels, of the 8-connected components of a binary image (H,W)."""
    labels, count = _label(binary)
    return np.bincount(labels.reshape(-1), minlength=count + 1)[1:]


def holds_region(binary: NDArray, pixels: int) -> bool:
    """Return whether a binary image (H,W) has an 8-connected component of at least so many pixels."""
    if np.count_nonzero(binary) < pixels:
        return False
    return bool((component_areas(binary) >= pixels).any())


def minimum_pixels(share: float, shape: tuple[int, ...]) -> int:
    """Return the smallest area, in pixels, that is at least a share of an image's evaluated pixels."""
    # 1e-9: a share such as 0.07 of 100 pixels is 7.000000000000001 in floating point
    return max(1, int(np.ceil(share * shape[0] * shape[1] - 1e-9)))


class RegionHistogram:
    """How much of the masks' regions lies at each code, each region weighing 1; constant memory, one labelling a mask.

    The mean over regions of the overlap |P∩C|/|C| is linear in the pixels: a pixel of region C adds 1/|C| at its code.
    """

    def __init__(self) -> None:
        self._weights = np.zeros(CODES)
        self.regions = 0

    def add(self, codes: NDArray[np.uint16], mask: NDArray) -> None:
        """Add one image: its map, uint16 (H,W), and its mask {0,1} of that shape."""
        inside = np.flatnonzero(mask)
        if not inside.size:
            return
        labels, count = _label(mask)
        region = labels.reshape(-1)[inside]
        weights = 1.0 / np.bincount(region)[1:]
        self._weights += np.bincount(codes.reshape(-1)[inside], weights[region - 1], CODES)
        self.regions += count

    def overlap(self) -> Curve | None:
        """Return (65537,) the mean per-region overlap with the pixels at or above each code; None without a region."""
        # a sum of thirds and sevenths may exceed one by its rounding
        return np.minimum(marked_from(self._weights) / self.regions, 1) if self.regions else None


def aupro(overlap: Curve | None, curves: PixelCurves, limit: float = 0.3) -> float | None:
    """Return the area under the overlap as a function of the false positive rate up to `limit`, divided by `limit`.

    Trapezoids over all 65,537 codes, the last one cut at the limit. None without regions or normal pixels.
    """
    if overlap is None or not curves.normal:
        return None
    rate, overlap = curves.fpr[::-1], overlap[::-1]
    inside = int(np.searchsorted(rate, limit, side="right"))
    area = np.trapezoid(overlap[:inside], rate[:inside])
    if inside < rate.size:
        start, end = rate[inside - 1], rate[inside]
        at_limit = overlap[inside - 1] + (limit - start) / (end - start) * (overlap[inside] - overlap[inside - 1])
        area += (limit - start) * (overlap[inside - 1] + at_limit) / 2
    return min(1.0, float(area / limit))
