"""Which images a figure shows: a rule, never a hand."""

from __future__ import annotations

from collections.abc import Sequence

from harness.records.record import ImageRow

RULE = (
    "Per category, the anomalous test images that no method was trained on are ordered by their IoU under {method} "
    "(ties: by name); {which}."
)


def choose(images: Sequence[ImageRow], count: int, excluded: frozenset[str] = frozenset()) -> list[str]:
    """Return the ids of `count` anomalous images, spread evenly over the order of their IoU.

    The k-th of n shown images is the one at the quantile (2k - 1) / 2n: for one image the (lower) median.

    Args:
        images: a record's rows.
        count: how many to show; all, when there are fewer.
        excluded: ids that must not be shown.
    """
    usable = [row for row in images if row.anomalous and row.iou is not None and row.id not in excluded]
    order = [row.id for row in sorted(usable, key=lambda row: (row.iou or 0.0, row.id))]
    if len(order) <= count:
        return order
    places = [((2 * k + 1) * len(order) - 1) // (2 * count) for k in range(count)]
    return [order[place] for place in places]


def rule(method: str, count: int) -> str:
    """Return the rule in words, for captions."""
    if count == 1:
        return RULE.format(method=method, which="the one in the middle is shown")
    quantiles = ", ".join(f"{2 * k + 1}/{2 * count}" for k in range(count))
    return RULE.format(method=method, which=f"those at the quantiles {quantiles} are shown")
