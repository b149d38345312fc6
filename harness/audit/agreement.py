"""How far the reproduced numbers order methods, and categories, as the published ones do."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from harness.tables.table import Table

FEWEST = 3
"""With fewer pairs an order says nothing."""


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation (ties share their mean rank).

    None for fewer than three pairs, or when one side is constant.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} values against {len(second)}")
    if len(first) < FEWEST:
        return None
    a, b = _ranks(first), _ranks(second)
    centre = (len(a) + 1) / 2
    scale = (sum((x - centre) ** 2 for x in a) * sum((y - centre) ** 2 for y in b)) ** 0.5
    if scale == 0:
        return None
    return sum((x - centre) * (y - centre) for x, y in zip(a, b, strict=True)) / scale


def _ranks(values: Sequence[float]) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def order_of_methods(table: Table) -> list[dict[str, Any]]:
    """Return, for each position of a table, how the reproduced order of methods agrees with print."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for _, position, cell in table.by_series():
        both = pairs.setdefault(position.id, [])
        if cell.reproduced is not None and cell.published is not None:
            both.append((cell.reproduced, cell.published))
    return [{"position": position, **_agreement(both)} for position, both in pairs.items()]


def order_of_positions(table: Table) -> list[dict[str, Any]]:
    """Return, for each series, how the reproduced numbers follow the published ones over categories or classes.

    A series under the other class protocol is held against the published one of the same method: the protocol whose
    numbers follow the print is the one that the print was made with.
    """
    places = [head.id for head in table.positions if head.role != "aggregate"]
    cells = {(head.id, position.id): cell for head, position, cell in table.by_series()}
    found = []
    for head in (head for head in table.series if head.role == "method"):
        against = head.published_as or head.id
        both = [(cells[head.id, place].reproduced, cells[against, place].published) for place in places]
        pairs = [
            (reproduced, published)
            for reproduced, published in both
            if reproduced is not None and published is not None
        ]
        found.append({"series": head.id, "against": against, "dataset": head.dataset, **_agreement(pairs)})
    return found


def _agreement(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    reproduced, published = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    correlation = spearman(reproduced, published)
    return {
        "pairs": len(pairs),
        "spearman": None if correlation is None else round(correlation, 6),
        "distance": round(fmean(abs(a - b) for a, b in pairs), 6) if pairs else None,
    }
