"""What comes nearest to print: of several measures (what did the paper really print there?), or of several series.

The first is part of a table's JSON, the second a sentence below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from harness.metrics.measures import MEASURES
from harness.tables.cells import Evidence, resolve
from harness.tables.layout import Layout, Line, Query
from harness.tables.table import Nearest, TableCell
from harness.tables.view import number

Row = tuple[Line, list[TableCell]]

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


def nearest_series(table: Layout, cells: Sequence[Sequence[TableCell]]) -> tuple[str, ...]:
    """Return one sentence a block in which at least two series have numbers beside printed ones."""
    if table.spec.nearest_series is None:
        return ()
    blocks: dict[str | None, list[Row]] = {}
    for line, row in zip(table.series, cells, strict=True):
        beside = [cell for cell in _asked(table, row) if cell.difference is not None]
        if line.series is not None and beside:
            blocks.setdefault(line.head.group, []).append((line, beside))
    title = MEASURES[table.spec.nearest_series].title
    return tuple(_sentence(block, title, rows) for block, rows in blocks.items() if len(rows) > 1)


def _asked(table: Layout, row: Sequence[TableCell]) -> Iterator[TableCell]:
    """Yield a series' cells in the measure, under its own threshold; a mean over categories says nothing new."""
    for position, cell in zip(table.positions, row, strict=True):
        own = position.quantity is None or (position.quantity.policy is None and position.head.role == "measure")
        if own and cell.measure == table.spec.nearest_series:
            yield cell


def _sentence(block: str | None, title: str, rows: Sequence[Row]) -> str:
    most = max(len(cells) for _, cells in rows)
    whole = [(line, cells) for line, cells in rows if len(cells) == most]
    line, cells = min(whole, key=lambda row: _distance(row[1]))
    if most == 1:
        (cell,) = cells
        there = f"{number(cell.reproduced, cell.decimals)}, printed {number(cell.published, cell.published_decimals)}"
    else:
        there = f"mean distance {number(_distance(cells), cells[0].decimals)} over {most} numbers"
    reached = [other.head.title.text for other, found in whole if all(map(_reaches, found))]
    end = f"its printed number is reached by {'; '.join(reached)}" if reached else "no row reaches its printed number"
    place = "" if block is None else f"{block[:1].upper()}{block[1:]}: "
    text = f"of {len(whole)} rows {line.head.title.text} is nearest to print in {title} ({there}); {end}."
    return f"{place}{text}" if place else f"{text[:1].upper()}{text[1:]}"


def _distance(cells: Sequence[TableCell]) -> float:
    return fmean(abs(cell.difference or 0.0) for cell in cells)


def _reaches(cell: TableCell) -> bool:
    """Tell whether a number is as good as the printed one, within what that one is rounded by."""
    return (cell.difference or 0.0) >= -0.5 * 10.0**-cell.published_decimals
