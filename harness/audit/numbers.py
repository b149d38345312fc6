"""Two sources of numbers under one name: what the paper prints and what was measured here.

A table is a set of series (one method each) over positions (categories, scenes, classes or phases), whichever of the
two runs down or across in print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from harness.errors import ConfigError
from harness.tables.layout import sheet
from harness.tables.published import Published
from harness.tables.spec import TableSpec, load_numbers
from harness.tables.table import Table, TableCell


@dataclass(frozen=True)
class Absent:
    """Why there is no number.

    Attributes:
        reason: One line.
        applicable: False where there cannot be a number.
        published: True for an empty cell in print: a dash or a lost number, which only a reader can tell apart.
    """

    reason: str
    applicable: bool = True
    published: bool = False


class Numbers(Protocol):
    """A source of a table's numbers; `exact` where the ends of a printed range can be asked of them."""

    exact: bool

    def positions(self, table: str) -> list[str]:
        """Return the positions of a table, aggregates left out."""

    def value(self, table: str, series: str, position: str) -> float | Absent:
        """Return one number as printed (rounded as its table rounds), or why there is none."""


class PublishedNumbers:
    """The published numbers."""

    exact = True

    def positions(self, table: str) -> list[str]:
        """Return the published positions of a table, aggregates left out."""
        spec = _spec(table)
        aggregates = {entry.id for entry in spec.quantities if spec.categories}
        return [name for name in _sheet(spec).positions if name not in aggregates]

    def series(self, table: str) -> list[str]:
        """Return the published series of a table."""
        return list(_sheet(_spec(table)).series)

    def value(self, table: str, series: str, position: str) -> float | Absent:
        """Return one published number."""
        found = _sheet(_spec(table)).value(series, position)
        empty = f"{table}: nothing printed or readable for {series} at {position}"
        return Absent(empty, published=True) if found is None else found


class ReproducedNumbers:
    """The numbers of this benchmark, from tables by id."""

    exact = False

    def __init__(self, tables: Mapping[str, Table]) -> None:
        self.tables = tables
        self._cells: dict[str, dict[tuple[str, str], TableCell]] = {}

    def positions(self, table: str) -> list[str]:
        """Return the positions of a table, aggregates left out; those in print when it was not built."""
        if table not in self.tables:
            return PublishedNumbers().positions(table)
        return [head.id for head in self.tables[table].positions if head.role != "aggregate"]

    def value(self, table: str, series: str, position: str) -> float | Absent:
        """Return one measured number, rounded as the table rounds it."""
        if table not in self.tables:
            return Absent(f"{table}: not built")
        stand_ins = [dataset.stand_in for dataset in self.tables[table].datasets if dataset.stand_in]
        if stand_ins:
            return Absent(f"{table}: other data than the paper's: {stand_ins[0]}")
        cell = self._lookup(table).get((series, position))
        if cell is None:
            return Absent(f"{table}: no cell for {series} at {position}")
        if cell.reproduced is None:
            reason = f": {cell.reason}" if cell.reason else ""
            text = f"{table}, {series} at {position}: {cell.state.replace('_', ' ')}{reason}"
            return Absent(text, applicable=cell.state != "not_applicable")
        return float(round(cell.reproduced, cell.decimals))

    def _lookup(self, table: str) -> dict[tuple[str, str], TableCell]:
        if table not in self._cells:
            cells = self.tables[table].by_series()
            self._cells[table] = {(head.id, position.id): cell for head, position, cell in cells}
        return self._cells[table]


@cache
def _spec(table: str) -> TableSpec:
    return load_numbers(table)


def _sheet(spec: TableSpec) -> Published:
    if spec.published is None:
        raise ConfigError(f"{spec.id}: a table without printed numbers; name another table")
    return sheet(spec, spec.published)
