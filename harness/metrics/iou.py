"""Confusion counts and intersection over union, image by image, at a few thresholds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.metrics.histogram import Counts, Curve


def confusion(codes: NDArray[np.uint16], mask: NDArray, thresholds: Sequence[int]) -> Counts:
    """Return (T,3) true positive, false positive and false negative pixels of one image at T threshold codes."""
    inside = codes[mask.astype(bool, copy=False)]
    rows = np.empty((len(thresholds), 3), np.int64)
    for row, code in zip(rows, thresholds, strict=True):
        hit = np.count_nonzero(inside >= code)
        row[:] = hit, np.count_nonzero(codes >= code) - hit, inside.size - hit
    return rows


def iou(counts: NDArray) -> Curve:
    """Return TP / (TP + FP + FN) of counts (…,3), NaN where the union is empty."""
    union = counts.sum(-1, dtype=float)
    return np.divide(counts[..., 0], union, out=np.full(union.shape, np.nan), where=union > 0)


def masked(counts: Counts) -> Counts:
    """Return the rows of counts (M,3) of images whose mask is not empty."""
    return counts[counts[:, 0] + counts[:, 2] > 0]


def mean_iou(counts: Counts) -> float | None:
    """Return the mean IoU over images whose mask is not empty, from counts (M,3); None without one."""
    values = iou(masked(counts))
    return float(values.mean()) if values.size else None
