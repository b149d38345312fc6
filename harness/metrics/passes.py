"""The two streaming passes over one category's maps: histograms of all pixels, then counts image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics import pimo
from harness.metrics.histogram import Counts, Curve, PixelHistogram
from harness.metrics.image_set import ImageSet
from harness.metrics.iou import confusion
from harness.metrics.regions import RegionHistogram, holds_region, minimum_pixels
from harness.metrics.results import MeasureSettings
from harness.metrics.thresholds import Threshold
from harness.metrics.views import Flags, PixelView


@dataclass(frozen=True)
class Pixels:
    """What the histograms of all test pixels give.

    `view` is None without anomalous pixels, and `note` says why; `weights` are AUPIMO's, None where it is undefined.
    """

    view: PixelView | None
    note: str | None
    weights: Curve | None = None


def first_pass(test: ImageSet) -> Pixels:
    """Return the histograms of the test images' pixels."""
    if missing := test.missing():
        return Pixels(None, missing)
    every, normal, regions = PixelHistogram(), PixelHistogram(), RegionHistogram()
    for codes, mask in test.pixels():
        every.add(codes, mask)
        regions.add(codes, mask)
        if not mask.any():
            normal.add(codes, mask)
    overlap = regions.overlap()
    if overlap is None:
        return Pixels(None, "no anomalous pixel")
    view = PixelView(test, every.curves(), overlap, None)
    return Pixels(view, None, pimo.code_weights(normal.normal))


@dataclass(frozen=True)
class Images:
    """What each of the M images gives at the thresholds.

    Attributes:
        counts: (M,T,3) TP, FP, FN.
        regions: (M,) whether the map holds a large enough region; None if nobody asks.
        overlaps: (M,) AUPIMO, NaN for normal images; None where it is undefined.
    """

    counts: Counts
    regions: Flags | None
    overlaps: NDArray[np.float64] | None


def second_pass(test: ImageSet, pixels: Pixels, thresholds: list[Threshold], settings: MeasureSettings) -> Images:
    """Return what each image gives at the thresholds."""
    codes_at = [0 if threshold.code is None else threshold.code for threshold in thresholds]
    counts = np.zeros((test.scores.size, len(thresholds), 3), np.int64)
    wanted = "region" in settings.image_policies and thresholds and thresholds[0].code is not None
    regions = np.zeros(test.scores.size, bool) if wanted else None
    overlaps = None if pixels.weights is None else np.full(test.scores.size, np.nan)
    if test.missing() and regions is None:
        return Images(counts, None, overlaps)
    for number, (codes, mask) in enumerate(test.images()):
        if mask is not None:
            counts[number] = confusion(codes, mask, codes_at)
        if overlaps is not None and pixels.weights is not None and mask is not None:
            overlaps[number] = pimo.image_overlap(codes, mask, pixels.weights)
        if regions is not None:
            regions[number] = holds_region(codes >= codes_at[0], minimum_pixels(settings.minimum_area, codes.shape))
    return Images(counts, regions, overlaps)
