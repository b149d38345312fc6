"""Yardsticks: maps and scores that have learnt nothing, or everything, so that a number never stands alone.

What finds no more than these has found nothing of its own: everything marked, noise, the distance to the centre, the
pixel-wise distance to the mean training image. And what maps of few cells could reach at best, drawn from the masks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.metrics.evaluate import evaluate
from harness.metrics.histogram import TOP
from harness.metrics.image_set import Masks
from harness.metrics.measures import MEASURES
from harness.metrics.results import Measured, MeasureSettings

Images = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]
Values = NDArray[np.float64]

CELLS = (8, 16, 32)
SOFTENING = 0.02
"""Added to the deviation, in units of the full range, so that pixels that never change do not decide alone."""


@dataclass(frozen=True)
class Yardstick:
    """One yardstick's maps.

    Attributes:
        id: Its name in files.
        title: As tables name it.
        maps: Gives the M maps, float (H,W), anew each time it is called.
        policy: The threshold of maps and scores.
        score: What of a map is the image's score: its "mean", its "max"; None where the map is drawn from the masks.
    """

    id: str
    title: str
    maps: Callable[[], Iterator[Values]]
    policy: str = "best_on_test"
    score: Literal["mean", "max"] | None = "mean"


@dataclass(frozen=True)
class GradedYardstick:
    """What a yardstick reaches; every measure at its one threshold policy."""

    id: str
    title: str
    score: Literal["mean", "max"] | None
    measures: tuple[Measured, ...]

    def value(self, measure: str) -> float | None:
        """Return a measure by its id; None where it is undefined or not measured."""
        return next((found.value for found in self.measures if found.name == measure), None)


def yardsticks(train: Images, test: Images, masks: Masks | None, seed: int = 0) -> list[Yardstick]:
    """Return the yardsticks of one category.

    Args:
        train: (N,H,W,C) uint8, normal images.
        test: (M,H,W,C) uint8.
        masks: (M,H,W) uint8 {0,1}; None where the dataset has none: then there are no best maps of cells.
        seed: of the random maps.
    """
    count, (side, width) = len(test), test[0].shape[:2]
    mean, deviation = mean_and_deviation(train)
    found = [
        Yardstick("everything", "everything marked", lambda: _repeated(np.ones((side, width)), count), "fixed:0.5"),
        Yardstick("random", "random map", lambda: _noise(count, (side, width), seed)),
        Yardstick("centre", "distance to the centre", lambda: _repeated(centre(side, width), count)),
        Yardstick("mean", "|x − mean|", lambda: (distance(image, mean) for image in test)),
        Yardstick(
            "mean_deviation",
            f"|x − mean| / (deviation + {SOFTENING:g})",
            lambda: (distance(image, mean, deviation + SOFTENING) for image in test),
            score="max",
        ),
    ]
    if masks is None:
        return found
    return found + [_best_cells(masks, cells) for cells in CELLS if cells < min(side, width)]


def _best_cells(masks: Masks, cells: int) -> Yardstick:
    title = f"best map of {cells}×{cells} cells"
    return Yardstick(f"cells_{cells}", title, lambda: (cell_shares(mask, cells) for mask in masks), score=None)


def mean_and_deviation(images: Images) -> tuple[Values, Values]:
    """Return mean and standard deviation (H,W,C) of uint8 images, in units of the full range; one image at a time."""
    total, squares = np.zeros(images[0].shape, np.int64), np.zeros(images[0].shape, np.int64)
    for image in images:
        values = image.astype(np.int64)
        total += values
        squares += values**2
    mean = total / len(images)
    # whole numbers up to here, so nothing cancels but for the last rounding
    variance = np.maximum(squares / len(images) - mean**2, 0)
    return mean / 255, np.sqrt(variance) / 255


def distance(image: NDArray[np.uint8], mean: Values, scale: Values | float = 1.0) -> Values:
    """Return (H,W) the mean over channels of |image − mean| / scale."""
    found: Values = (np.abs(image / 255 - mean) / scale).mean(axis=-1)
    return found


def centre(height: int, width: int) -> Values:
    """Return (H,W) one at the centre, falling with the distance in pixels to zero in the corners."""
    rows = np.arange(height)[:, None] - (height - 1) / 2
    columns = np.arange(width) - (width - 1) / 2
    far = np.hypot(rows, columns)
    return 1 - far / far.max()


def cell_shares(mask: NDArray[np.uint8], cells: int) -> Values:
    """Return (H,W) the anomalous share of the cell that each pixel lies in.

    No map of whole cells has a higher pooled IoU than this one at its best threshold: where λ is the highest IoU, a
    cell belongs to the best map exactly if its share is at least λ / (1 + λ).
    """
    rows, columns = (np.arange(length) * cells // length for length in mask.shape)
    starts = [np.searchsorted(labels, np.arange(cells)) for labels in (rows, columns)]
    inside = np.add.reduceat(np.add.reduceat(mask.astype(np.int64), starts[0], axis=0), starts[1], axis=1)
    area = np.outer(np.bincount(rows, minlength=cells), np.bincount(columns, minlength=cells))
    shares: Values = (inside / area)[np.ix_(rows, columns)]
    return shares


def grade(yardstick: Yardstick, masks: Masks | None, anomalous: NDArray[np.bool_]) -> GradedYardstick:
    """Return what a yardstick reaches on M images with these masks and labels (M,); undefined measures are left out."""
    low, high, scores = np.inf, -np.inf, []
    for values in yardstick.maps():
        low, high = min(low, float(values.min())), max(high, float(values.max()))
        scores.append(float(values.max() if yardstick.score == "max" else values.mean()))
    policies = (yardstick.policy,)
    evaluation = evaluate(
        lambda: (quantised(values, low, high) for values in yardstick.maps()),
        low, high, masks, anomalous, np.array(scores), None, None, MeasureSettings(policies, policies),
    )  # fmt: skip
    shown = [m for m in evaluation.measures if yardstick.score is not None or MEASURES[m.name].maps]
    return GradedYardstick(
        yardstick.id, yardstick.title, yardstick.score, tuple(m for m in shown if m.value is not None)
    )


def quantised(values: Values, low: float, high: float) -> NDArray[np.uint16]:
    """Return the 16-bit codes of a map whose values lie from `low` to `high`."""
    if high == low:
        return np.zeros(values.shape, np.uint16)
    return np.rint((values - low) / (high - low) * TOP).astype(np.uint16)


def _repeated(values: Values, count: int) -> Iterator[Values]:
    return (values for _ in range(count))


def _noise(count: int, shape: tuple[int, int], seed: int) -> Iterator[Values]:
    generator = np.random.default_rng(seed)
    return (generator.random(shape) for _ in range(count))
