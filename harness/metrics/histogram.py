"""The pixel engine: two 65,536-bin histograms of 16-bit anomaly maps, and every pixel-wise measure that follows.

A pixel is predicted anomalous where its map value is at least the threshold. Codes order the pixels as the quantised
maps do, so AuROC, average precision and IoU are exact for the quantised maps, ties included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

CODES = 65_536
TOP = CODES - 1
# codes cast and counted at a time: 2 MB as int64, so that both stay in the processor's cache
_STAGE = 1 << 18

Counts = NDArray[np.int64]
Curve = NDArray[np.float64]


def threshold_at(code: int, low: float, high: float) -> float:
    """Return the map value that a code stands for; code 65,536, which marks nothing, is the next value above `high`."""
    if code > TOP:
        return float(np.nextafter(high, np.inf))
    # rounding must not lift or lower the ends of the range
    return float(high if code == TOP else min(low + code / TOP * (high - low), high))


def code_at(threshold: float, low: float, high: float) -> int:
    """Return the smallest code whose map value is at least `threshold`: 0 marks every pixel, 65,536 none."""
    if not (np.isfinite([threshold, low, high]).all() and low <= high):
        raise DataError(f"threshold {threshold} for maps from {low} to {high}: give finite values with low <= high")
    if threshold <= low:
        return 0
    if threshold > high:
        return CODES
    code = int(np.clip(np.ceil((threshold - low) / (high - low) * TOP), 0, TOP))
    # the division rounds: step to the code for which "value >= threshold" holds exactly
    while code > 0 and threshold_at(code - 1, low, high) >= threshold:
        code -= 1
    while code < TOP and threshold_at(code, low, high) < threshold:
        code += 1
    return code


class _Counter:
    """Counts codes; small images are gathered until a cache-sized stage is full, as each count costs 65,536 sums."""

    def __init__(self) -> None:
        self._total = np.zeros(CODES, np.int64)
        self._stage = np.empty(_STAGE, np.int64)
        self._filled = 0

    def add(self, codes: NDArray[np.uint16]) -> None:
        start = 0
        while start < codes.size:
            part = codes[start : start + _STAGE - self._filled]
            self._stage[self._filled : self._filled + part.size] = part
            self._filled += part.size
            start += part.size
            if self._filled == _STAGE:
                self._count()

    def _count(self) -> None:
        self._total += np.bincount(self._stage[: self._filled], minlength=CODES)
        self._filled = 0

    def total(self) -> Counts:
        self._count()
        return self._total.copy()


class PixelHistogram:
    """Histograms of the codes of normal and of anomalous pixels, filled image by image; 6 MB whatever the images."""

    def __init__(self) -> None:
        self._all = _Counter()
        self._anomalous = _Counter()

    def add(self, codes: NDArray[np.uint16], mask: NDArray[np.uint8]) -> None:
        """Count the pixels of one or several maps, uint16 of any shape, with their masks, uint8 {0,1} of that shape.

        Raises DataError when dtype, shape or the masks' values differ from that.
        """
        if codes.dtype != np.uint16 or mask.dtype not in (np.uint8, np.bool_) or codes.shape != mask.shape:
            given = f"{codes.dtype}{codes.shape} and {mask.dtype}{mask.shape}"
            raise DataError(f"maps and masks must be uint16 and uint8 arrays of one shape, not {given}; export again")
        flat_codes, flat_mask = codes.reshape(-1), mask.reshape(-1).view(np.uint8)
        for start in range(0, flat_codes.size, _STAGE):
            part, marked = flat_codes[start : start + _STAGE], flat_mask[start : start + _STAGE]
            highest = marked.max()
            if highest > 1:
                raise DataError(f"masks must hold 0 and 1, not {highest}; prepare the dataset again")
            self._all.add(part)
            if highest:
                self._anomalous.add(part[marked.view(np.bool_)])

    @property
    def normal(self) -> Counts:
        """(65536,) number of normal pixels of each code."""
        return self._all.total() - self._anomalous.total()

    @property
    def anomalous(self) -> Counts:
        """(65536,) number of anomalous pixels of each code."""
        return self._anomalous.total()

    def curves(self) -> PixelCurves:
        """Return the measures at every threshold."""
        return PixelCurves.of(self.normal, self.anomalous)


def marked_from(histogram: NDArray) -> NDArray:
    """Return (65537,) how much of a histogram (65536,) lies at or above each code; the last, above all, is 0."""
    return np.concatenate([histogram[::-1].cumsum()[::-1], np.zeros(1, histogram.dtype)])


@dataclass(frozen=True)
class PixelCurves:
    """Pixel-wise measures at each of the 65,537 threshold codes, from "all is anomalous" (0) to "nothing is" (65536).

    Attributes:
        true_positives: (65537,) anomalous pixels at or above each code.
        false_positives: (65537,) normal pixels at or above each code.
    """

    true_positives: Counts
    false_positives: Counts

    @classmethod
    def of(cls, normal: NDArray, anomalous: NDArray) -> PixelCurves:
        """Return the curves of two histograms (65536,)."""
        return cls(marked_from(anomalous), marked_from(normal))

    @property
    def anomalous(self) -> int:
        """Number of anomalous pixels."""
        return int(self.true_positives[0])

    @property
    def normal(self) -> int:
        """Number of normal pixels."""
        return int(self.false_positives[0])

    @cached_property
    def iou(self) -> Curve:
        """Intersection over union, pooled over all pixels; NaN where the union is empty."""
        return _ratio(self.true_positives, self.anomalous + self.false_positives)

    @cached_property
    def tpr(self) -> Curve:
        """True positive rate (recall); NaN without anomalous pixels."""
        return _ratio(self.true_positives, self.anomalous)

    @cached_property
    def fpr(self) -> Curve:
        """False positive rate; NaN without normal pixels."""
        return _ratio(self.false_positives, self.normal)

    @cached_property
    def precision(self) -> Curve:
        """Precision; NaN where nothing is marked."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    def auroc(self) -> float | None:
        """Return the exact area under the ROC curve; None unless there are normal and anomalous pixels."""
        if not (self.normal and self.anomalous):
            return None
        # (anomalous, normal) pairs in order, a tie counted half; halves of whole numbers are exact below 2^53
        below = self.normal - (self.false_positives[:-1] + self.false_positives[1:]) / 2
        return float(-np.diff(self.true_positives) @ below / self.anomalous / self.normal)

    def average_precision(self) -> float | None:
        """Return the sum of precision × gain in recall over all thresholds; None without anomalous pixels."""
        if not self.anomalous:
            return None
        gains = -np.diff(self.true_positives)
        used = gains > 0
        return min(1.0, float(gains[used] @ self.precision[:-1][used] / self.anomalous))

    def best_iou(self) -> tuple[int, float] | None:
        """Return the lowest code with the highest IoU, and that IoU; None without anomalous pixels."""
        if not self.anomalous:
            return None
        code = int(self.iou.argmax())
        return code, float(self.iou[code])


def _ratio(part: Counts, whole: Counts | int) -> Curve:
    whole = np.broadcast_to(np.asarray(whole, np.float64), part.shape)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
