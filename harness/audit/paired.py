"""Paired differences of two methods, or of two runs of one: over seeds, and over the test images that both have.

Over seeds: one difference a seed, each the mean over the categories that both sides have; over images: one a test
image, each the mean over the seeds. Both with the t distribution (`scipy.stats.ttest_1samp`). An image AuROC is no
mean over images: there whole test sets are drawn again, the same ones for both sides. Where a record keeps no number
an image, the two bootstrap intervals stand in, as if the sides were independent: too wide rather than too narrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from harness.metrics.bootstrap import image_auroc, interval, resample
from harness.records.record import ImageRow

LEVEL = 0.95
REPLICATES = 1000
Where = tuple[str, int]
"""Category and seed."""


@dataclass(frozen=True)
class Estimate:
    """A mean difference, its 95 % interval, the two-sided p of no difference, and how many differences it rests on.

    `count` is 0 where nothing is paired and the two sides' own intervals stand in.
    """

    mean: float
    low: float
    high: float
    p: float
    count: int

    @property
    def sign(self) -> int:
        """Return 1 or -1 where the interval leaves out zero, else 0."""
        return (self.low > 0) - (self.high < 0)


@dataclass(frozen=True)
class Sample:
    """One measure of one record.

    Attributes:
        value: The measure.
        interval: Its 95 % bootstrap interval over test images.
        per_image: "iou" or "score", the image's number that the measure is made of; None where there is none.
        images: The test images by id.
        yardstick: What finding nothing would give.
        seen: Training images seen.
    """

    value: float
    interval: tuple[float, float] | None = None
    per_image: str | None = None
    images: Mapping[str, ImageRow] | None = None
    yardstick: float | None = None
    seen: int | None = None


@dataclass(frozen=True)
class Paired:
    """Two sides on what both have: their means, the mean difference (left less right), and what it rests on."""

    left: float
    right: float
    difference: float
    categories: tuple[str, ...]
    above: int
    seeds: int
    over_seeds: Estimate | None
    over_images: Estimate | None

    @property
    def sign(self) -> int:
        """Return 1 or -1 where seeds and images both carry the direction, else 0."""
        if self.over_seeds is None or self.over_images is None:
            return 0
        return self.over_seeds.sign if self.over_seeds.sign == self.over_images.sign else 0

    @property
    def p(self) -> float | None:
        """Return the larger p of the two; None where either is missing."""
        if self.over_seeds is None or self.over_images is None:
            return None
        return max(self.over_seeds.p, self.over_images.p)


def of_differences(values: Sequence[float] | NDArray[np.float64]) -> Estimate | None:
    """Return mean, interval and p of paired differences; None for fewer than two."""
    found = np.asarray(values, float)
    if found.size < 2:
        return None
    mean = float(found.mean())
    if np.ptp(found) < 1e-12:
        return Estimate(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0, found.size)
    test = stats.ttest_1samp(found, 0.0)
    low, high = test.confidence_interval(LEVEL)
    return Estimate(mean, float(low), float(high), float(test.pvalue), found.size)


def compare(left: Mapping[Where, Sample], right: Mapping[Where, Sample]) -> Paired | None:
    """Return the paired comparison on the categories that both sides have with all their common seeds; None for none.

    A category counts when both sides have it with every seed that they share anywhere.
    """
    common = left.keys() & right.keys()
    seeds = sorted({seed for _, seed in common})
    categories = tuple(dict.fromkeys(name for name, _ in left if all((name, seed) in common for seed in seeds)))
    if not common or not categories:
        return None
    where = [(name, seed) for name in categories for seed in seeds]
    gaps = {place: left[place].value - right[place].value for place in where}
    by_seed = [fmean(gaps[name, seed] for name in categories) for seed in seeds]
    by_category = [fmean(gaps[name, seed] for seed in seeds) for name in categories]
    return Paired(
        fmean(left[place].value for place in where),
        fmean(right[place].value for place in where),
        fmean(by_seed),
        categories,
        sum(gap > 0 for gap in by_category),
        len(seeds),
        of_differences(by_seed),
        _over_images([(left[place], right[place]) for place in where], where),
    )


def _over_images(pairs: Sequence[tuple[Sample, Sample]], where: Sequence[Where]) -> Estimate | None:
    kinds = {side.per_image for pair in pairs for side in pair}
    if kinds == {"iou"}:
        found = _per_image(pairs, where)
    elif kinds == {"score"}:
        found = _redrawn(pairs, where)
    else:
        found = None
    return _from_intervals(pairs) if found is None else found


def _per_image(pairs: Sequence[tuple[Sample, Sample]], where: Sequence[Where]) -> Estimate | None:
    """Return the estimate over the anomalous images that both sides have, each the mean over its seeds."""
    found: dict[tuple[str, str], list[float]] = {}
    for (category, _), (left, right) in zip(where, pairs, strict=True):
        for name, row in (left.images or {}).items():
            other = (right.images or {}).get(name)
            if other is not None and row.iou is not None and other.iou is not None:
                found.setdefault((category, name), []).append(row.iou - other.iou)
    return of_differences([fmean(gaps) for gaps in found.values()])


def _redrawn(pairs: Sequence[tuple[Sample, Sample]], where: Sequence[Where]) -> Estimate | None:
    """Return the estimate of a mean difference of image AuROCs over redrawn test sets."""
    gaps = []
    images: set[tuple[str, str]] = set()
    for number, (left, right) in enumerate(pairs):
        names = [name for name in left.images or {} if name in (right.images or {})]
        rows = [((left.images or {})[name], (right.images or {})[name]) for name in names]
        if any(a.anomalous != b.anomalous for a, b in rows) or len({a.anomalous for a, _ in rows}) < 2:
            return None
        anomalous = np.array([a.anomalous for a, _ in rows])
        weights = resample(anomalous, REPLICATES, number)
        scores = (np.array([a.score for a, _ in rows]), np.array([b.score for _, b in rows]))
        first, second = (image_auroc(weights, side, anomalous) for side in scores)
        gaps.append(first - second)
        images |= {(where[number][0], name) for name in names}
    means = np.mean(gaps, axis=0)
    ends = interval(means, LEVEL)
    if ends is None:
        return None
    tail = min(int((means <= 0).sum()), int((means >= 0).sum()))
    return Estimate(float(np.mean(means)), *ends, min(1.0, 2 * (tail + 1) / (REPLICATES + 1)), len(images))


def _from_intervals(pairs: Iterable[tuple[Sample, Sample]]) -> Estimate | None:
    """Return the estimate that bootstrap intervals of independent sides give; None where one has none."""
    gaps, squares = [], []
    for left, right in pairs:
        if left.interval is None or right.interval is None:
            return None
        gaps.append(left.value - right.value)
        squares += [((high - low) / 2) ** 2 for low, high in (left.interval, right.interval)]
    if not gaps:
        return None
    mean, half = fmean(gaps), sum(squares) ** 0.5 / len(gaps)
    normal = NormalDist()
    error = half / normal.inv_cdf((1 + LEVEL) / 2)
    p = 2 * (1 - normal.cdf(abs(mean) / error)) if error else float(mean == 0)
    return Estimate(mean, mean - half, mean + half, p, 0)
