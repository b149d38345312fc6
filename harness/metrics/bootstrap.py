"""Percentile bootstrap over test images: how far a measure could move with another draw of the same test set.

Normal and anomalous images are resampled separately (their numbers are the dataset's design), with replacement. A
replicate is a weight, how often it was drawn, for each image; so a pooled measure of a replicate is that measure of
weighted sums, and nothing is approximated. A threshold is not chosen again in a replicate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.histogram import CODES, Counts
from harness.metrics.image import ranked_auroc
from harness.metrics.iou import iou
from harness.metrics.results import Interval

# anomalous pixels held at a time: 16 MB with their comparisons
_WINDOW = 1 << 20

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

    AuROC is the share of (anomalous, normal) pairs of pixels that are in order, ties counted half. How many pairs are
    in order between the anomalous pixels of one image and the normal pixels of another does not depend on the draw:
    each is counted once, and a replicate weighs it by how often it drew the two images. The anomalous pixels are held
    a window at a time, each window compared in one more pass over the maps, so that memory does not grow with them.
    """
    if not len(weights):
        return np.zeros(0)
    replicates = weights.astype(float)
    in_order, totals = np.zeros(len(weights)), np.zeros((2, len(weights)))
    for window in _windows(pixels()):
        # (images of the window, B) pairs in order with the normal pixels of the replicate
        reached = np.zeros((window.images.size, len(weights)))
        totals[1] = 0
        for drawn, (codes, mask) in zip(replicates.T, pixels(), strict=True):
            below, normal = _normal_below(codes, mask)
            reached += np.outer(window.pairs(below), drawn)
            totals[1] += normal * drawn
        drawn_images = replicates[:, window.images]
        in_order += (drawn_images.T * reached).sum(axis=0)
        totals[0] += drawn_images @ np.diff(window.starts, append=window.codes.size)
    pairs = totals.prod(axis=0)
    return np.divide(in_order, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


@dataclass(frozen=True)
class _Window:
    """Anomalous pixels of some images: codes (P,), where each image's begin (K,), and the images' numbers (K,)."""

    codes: NDArray[np.intp]
    starts: NDArray[np.intp]
    images: NDArray[np.intp]

    def pairs(self, below: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (K,) the sum over each image's pixels of how many normal pixels lie below (65536,) its code."""
        # mode: codes cannot be out of range, and "clip" spares numpy a checked copy
        return np.add.reduceat(below.take(self.codes, mode="clip"), self.starts)


def _windows(pixels: Pixels) -> Iterator[_Window]:
    """Give the images' anomalous pixels, about a million at a time, never less than a whole image's."""
    parts: list[NDArray[np.uint16]] = []
    images: list[int] = []
    held = 0
    for number, (codes, mask) in enumerate(pixels):
        inside = codes[mask != 0]
        if parts and held + inside.size > _WINDOW:
            yield _window(parts, images)
            parts, images, held = [], [], 0
        if inside.size:
            parts.append(inside)
            images.append(number)
            held += inside.size
    if parts:
        yield _window(parts, images)


def _window(parts: list[NDArray[np.uint16]], images: list[int]) -> _Window:
    starts = np.cumsum([0, *(part.size for part in parts[:-1])])
    return _Window(np.concatenate(parts).astype(np.intp), starts, np.array(images))


def _normal_below(codes: NDArray[np.uint16], mask: NDArray) -> tuple[NDArray[np.float64], int]:
    """Return (65536,) how many normal pixels of a map lie below each code, ties counted half, and their number."""
    counts = np.bincount(codes.reshape(-1), minlength=CODES)
    if mask.any():
        counts -= np.bincount(codes[mask != 0], minlength=CODES)
    return counts.cumsum() - counts / 2, int(counts.sum())


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and sample standard deviation (n - 1) over seeds; the deviation of one value is None.

    Raises ValueError without values.
    """
    if not len(values):
        raise ValueError("no values to average")
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None
