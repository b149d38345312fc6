"""What a table says first: how near the paper's own methods come to print, and what finding nothing gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from harness.metrics.measures import MEASURES
from harness.tables.table import Head, Table, TableCell
from harness.tables.view import full_title, number
from harness.tables.yardsticks import FLOOR

Asked = list[tuple[Head, TableCell]]


@dataclass(frozen=True)
class _Line:
    """A series with the cells in which it has a number; `printed` says that there is a printed one in each."""

    head: Head
    asked: int
    cells: Asked
    printed: bool

    @property
    def value(self) -> float:
        return fmean(cell.reproduced or 0.0 for _, cell in self.cells)

    @property
    def published(self) -> float:
        return fmean(cell.published or 0.0 for _, cell in self.cells)

    def distance(self) -> float:
        """Return how far it is from print; where nothing is printed, how far from good."""
        if self.printed:
            return fmean(abs(cell.difference or 0.0) for _, cell in self.cells)
        measure = self.cells[0][1].measure
        return self.value if measure and MEASURES[measure].better == "lower" else -self.value


def title_line(table: Table) -> str:
    """Return which table this is, under which protocol, and how many of its numbers are there."""
    cells = [cell for head, _, cell in table.by_series() if head.role == "method" and cell.state != "not_applicable"]
    done = sum(cell.reproduced is not None for cell in cells)
    failed = sum(cell.state == "failed" for cell in cells)
    name = f"{full_title(table.label, table.paper, table.title)}, {table.protocol.title}"
    return f"{name}: {done} of {len(cells)} numbers reproduced{f', {failed} failed' if failed else ''}."


def headlines(table: Table) -> tuple[str, ...]:
    """Return one sentence for each group of series in which a method of the paper has a number."""
    groups = dict.fromkeys(head.group for head in table.series if head.own)
    found = tuple(text for group in groups for text in _sentence(table, group))
    none = any(head.own for head in table.series) and not found
    return ("No number of CAVGA is reproduced.",) if none else found


def _sentence(table: Table, group: str | None) -> Iterator[str]:
    own = [line for line in _lines(table) if line.head.own and line.head.group == group]
    lines = [line for line in own if line.printed] or own
    if not lines:
        return
    # A mean over few categories may be near by luck: those over most are compared.
    most = max(len(line.cells) for line in lines)
    best = min((line for line in lines if len(line.cells) == most), key=_Line.distance)
    (position, first), *_ = best.cells
    what = "" if position.role == "category" else position.title.text
    which = f"of CAVGA's {len(own)} {'the nearest to print' if best.printed else 'the best'} is" if len(own) > 1 else ""
    name = " ".join(text for text in (best.head.title.text, *(t.text for t in best.head.subtitles)) if text)
    place = ", ".join(part for part in (group, what, which) if part) + (":" if not which and (group or what) else "")
    beside = f" where {number(best.published, first.published_decimals)} is printed" if best.printed else ""
    has = f"{'with' if which else 'has'} {number(best.value, first.decimals)}"
    yield f"{place[:1].upper()}{place[1:]} {name} {has}{beside}{_aside(table, best)}.".lstrip()


def _aside(table: Table, line: _Line) -> str:
    """Return, in brackets, over how many categories it is, and what marking everything gives there."""
    position, first = line.cells[0]
    over = f"{len(line.cells)} of {line.asked} categories" if position.role == "category" else ""
    places = [head for head, _ in line.cells]
    floor = [
        cell.reproduced
        for head, where, cell in table.by_series()
        if head.role == "yardstick" and head.id.rpartition("/")[2] == FLOOR and head.category == line.head.category
        if where in places and cell.reproduced is not None
    ]
    marked = f"everything marked: {number(fmean(floor), first.decimals)}" if len(floor) == len(places) else ""
    said = "; ".join(part for part in (over, marked) if part)
    return f" ({said})" if said else ""


def _lines(table: Table) -> Iterator[_Line]:
    """Yield the methods with a number: over their categories; where there are none, in the first measure printed."""
    by_category = any(head.role == "category" for head in table.positions)
    for i, head in enumerate(table.series):
        pairs = list(zip(table.positions, table.of(i), strict=True))
        if by_category:
            pairs = [(p, cell) for p, cell in pairs if p.role == "category" and cell.state != "not_applicable"]
        there = [(p, cell) for p, cell in pairs if cell.reproduced is not None]
        beside = [(p, cell) for p, cell in there if cell.difference is not None]
        used = (beside or there) if by_category else (beside or there)[:1]
        if head.role == "method" and used:
            yield _Line(head, len(pairs), used, bool(beside))
