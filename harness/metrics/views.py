"""What a measure reads, by kind of measure: made once a category, or once a threshold policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.histogram import Counts, Curve, PixelCurves
from harness.metrics.image_set import ImageSet

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class PixelView:
    """All pixels of the test images, of which at least one is anomalous, at every threshold.

    Attributes:
        test: the M images.
        curves: pixel-wise rates.
        overlap: (65537,) mean per-region overlap.
        per_image: (M,) AUPIMO of each anomalous image, NaN for normal ones; None where it is undefined.
    """

    test: ImageSet
    curves: PixelCurves
    overlap: Curve
    per_image: NDArray[np.float64] | None


@dataclass(frozen=True)
class MaskView:
    """The same at one threshold: `code` 0 to 65,536, `counts` (M,3) TP, FP, FN of each image."""

    pixels: PixelView
    code: int
    counts: Counts


@dataclass(frozen=True)
class ScoreView:
    """The test images' scores (M,), labels (M,) and replicates (B,M)."""

    scores: NDArray[np.float64]
    anomalous: Flags
    weights: NDArray[np.int32]


@dataclass(frozen=True)
class DecisionView:
    """Which images are predicted and which are anomalous, (M,) each."""

    predicted: Flags
    anomalous: Flags
