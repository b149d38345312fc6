"""Which series comes nearest to its printed numbers in one measure, and whether any reaches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean

from harness.metrics.measures import MEASURES
from harness.tables.layout import Layout, Line
from harness.tables.table import TableCell
from harness.tables.view import number

Row = tuple[Line, list[TableCell]]


def closest(table: Layout, cells: Sequence[Sequence[TableCell]]) -> tuple[str, ...]:
    """Return one sentence a block in which at least two series have numbers beside printed ones."""
    if table.spec.closest is None:
        return ()
    blocks: dict[str | None, list[Row]] = {}
    for line, row in zip(table.series, cells, strict=True):
        beside = [cell for cell in _asked(table, row) if cell.difference is not None]
        if line.series is not None and beside:
            blocks.setdefault(line.head.group, []).append((line, beside))
    title = MEASURES[table.spec.closest].title
    return tuple(_sentence(block, title, rows) for block, rows in blocks.items() if len(rows) > 1)


def _asked(table: Layout, row: Sequence[TableCell]) -> Iterator[TableCell]:
    """Yield a series' cells in the measure, under its own threshold; a mean over categories says nothing new."""
    for position, cell in zip(table.positions, row, strict=True):
        own = position.quantity is None or (position.quantity.policy is None and position.head.role == "measure")
        if own and cell.measure == table.spec.closest:
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
