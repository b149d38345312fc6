"""Which of several measures comes nearest to a published series: what did the paper really print there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from harness.tables.cells import Evidence, resolve
from harness.tables.layout import Layout, Query
from harness.tables.table import Nearest

FEWEST = 3
"""Over fewer cells a distance says nothing."""


def nearest_measures(evidence: Evidence, table: Layout) -> tuple[Nearest, ...]:
    """Return, for each series with published and measured cells, the mean distance of each measure to the print.

    All measures are taken at the series' own threshold policy and over the same cells: those where all are there.
    `nearest` is None where that cannot be told: over too few cells, or by less than the print is rounded.
    """
    names = table.spec.nearest_measure
    found = []
    for line, queries in zip(table.series, table.queries, strict=True) if names else ():
        if line.series is None or evidence.plan.stand_in(line.dataset) != line.dataset:
            continue
        pairs = [
            (table.published(line, position), _values(evidence, query, names))
            for position, query in zip(table.positions, queries, strict=True)
            if position.head.role == "category"
        ]
        complete = [(print_, known) for print_, known in pairs if print_ is not None and len(known) == len(names)]
        if complete:
            found.append(_nearest(line.head.id, names, complete, table.spec.unit))
    return tuple(found)


def _values(evidence: Evidence, query: Query | None, names: Sequence[str]) -> list[float]:
    cells = [resolve(evidence, replace(query, measure=name)) for name in names] if query else []
    return [cell.reproduced for cell in cells if cell.reproduced is not None]


def _nearest(series: str, names: Sequence[str], complete: list[tuple[float, list[float]]], unit: float) -> Nearest:
    distances = {
        name: round(fmean(abs(values[i] - own) for own, values in complete), 6) for i, name in enumerate(names)
    }
    first, second = sorted(distances.values())[:2]
    # Printed numbers are off by half a unit either way, so two distances differ for sure only by a whole one.
    told = len(complete) >= FEWEST and second - first >= unit - 1e-9
    nearest = min(names, key=lambda name: distances[name]) if told else None
    return Nearest(column=series, cells=len(complete), distances=distances, nearest=nearest)
