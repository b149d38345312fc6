"""Percentile bootstrap over test images: how far a measure could move with another draw of the same test set.

Normal and anomalous images are resampled separately (their numbers are the dataset's design), with replacement. A
replicate is a weight, how often it was drawn, for each image; so a pooled measure of a replicate is that measure of
weighted sums, and nothing is approximated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.histogram import CODES, Counts, PixelCurves
from benchmark.metrics.image import ranked_auroc
from benchmark.metrics.iou import iou

# replicates whose two histograms are summed in one pass over the maps: 32 × 2 × 65,536 float64 = 34 MB
_REPLICATES = 32
# images whose histograms are added by one matrix product: 16 MB
_IMAGES = 16
_COLUMNS = 1 << 13

Interval = tuple[float, float]
Pixels = Iterable[tuple[NDArray[np.uint16], NDArray]]


def resample(anomalous: NDArray[np.bool_], replicates: int, seed: int) -> NDArray[np.int32]:
    """Return (B,M) how often each image is drawn in each replicate; equal for equal seeds."""
    generator = np.random.default_rng(seed)
    weights = np.zeros((replicates, anomalous.size), np.int32)
    for kind in (False, True):
        members = np.flatnonzero(anomalous == kind)
        if members.size:
            even = np.full(members.size, 1 / members.size)
            weights[:, members] = generator.multinomial(members.size, even, size=replicates)
    return weights


def interval(values: NDArray[np.float64] | Sequence[float], level: float = 0.95) -> Interval | None:
    """Return the central percentile interval of replicates; NaN ones are left out; None if none is defined."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not values.size:
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def pooled_iou(weights: NDArray[np.int32], counts: Counts) -> NDArray[np.float64]:
    """Return (B,) the pooled IoU of each replicate, from the images' TP, FP, FN (M,3) at one threshold."""
    return iou(weights.astype(np.int64) @ counts)


def image_auroc(weights: NDArray[np.int32], scores: NDArray, anomalous: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return (B,) the image AuROC of each replicate; NaN with a single class."""
    ranks = np.unique(scores, return_inverse=True)[1]
    values = [ranked_auroc(ranks, anomalous, row) for row in weights]
    return np.array(values, float)


def pixel_auroc(weights: NDArray[np.int32], pixels: Callable[[], Pixels]) -> NDArray[np.float64]:
    """Return (B,) the exact pixel AuROC of each replicate; `pixels()` gives (map, mask) of the M images anew.

    A replicate's histograms are the weighted sum of its images' histograms. They are summed for 32 replicates in one
    pass over the maps, so that memory (about 50 MB) depends neither on the images nor on the replicates.
    """
    totals = np.empty((min(len(weights), _REPLICATES), 2 * CODES))
    values = np.full(len(weights), np.nan)
    for start in range(0, len(weights), _REPLICATES):
        block = weights[start : start + _REPLICATES].astype(float)
        _sum_histograms(block, pixels(), totals[: len(block)])
        for number in range(len(block)):
            area = PixelCurves.of(totals[number, :CODES], totals[number, CODES:]).auroc()
            values[start + number] = np.nan if area is None else area
    return values


def _sum_histograms(weights: NDArray[np.float64], pixels: Pixels, totals: NDArray[np.float64]) -> None:
    """Fill totals (B, 2·65536) with weighted sums of the images' histograms (whole numbers, exact below 2^53)."""
    totals[:] = 0
    gathered = np.zeros((_IMAGES, 2 * CODES))
    first = filled = 0
    for codes, mask in pixels:
        keys = codes.astype(np.intp) + CODES * (mask != 0)
        gathered[filled] = np.bincount(keys.reshape(-1), minlength=2 * CODES)
        filled += 1
        if filled == _IMAGES:
            _add_product(weights[:, first : first + filled], gathered, totals)
            first, filled = first + filled, 0
    _add_product(weights[:, first : first + filled], gathered[:filled], totals)


def _add_product(weights: NDArray[np.float64], gathered: NDArray[np.float64], totals: NDArray[np.float64]) -> None:
    for start in range(0, 2 * CODES, _COLUMNS):  # a product of all columns at once would need the memory of `totals`
        part = slice(start, start + _COLUMNS)
        totals[:, part] += weights @ gathered[:, part]


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation (n - 1) over seeds; the deviation of one value is None.

    Raises ValueError without values.
    """
    if not len(values):
        raise ValueError("no values to average")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
