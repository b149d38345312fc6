"""Two sources of numbers under one name: what the paper prints and what was measured here.

A table is a set of series (one method each) over positions (categories, scenes, classes or phases), whichever of the
two runs down or across in print.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from harness.errors import ConfigError
from harness.tables.published import Published, read_published
from harness.tables.spec import load_table


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
        sheet = _sheet(spec)
        names = list(sheet.columns) if spec["kind"] == "classes" else list(sheet.cells)
        aggregates = {entry["id"] for entry in spec.get("aggregates", [])}
        return [name for name in names if name not in aggregates]

    def series(self, table: str) -> list[str]:
        """Return the published series of a table."""
        spec = _spec(table)
        sheet = _sheet(spec)
        return list(sheet.cells) if spec["kind"] == "classes" else list(sheet.columns)

    def value(self, table: str, series: str, position: str) -> float | Absent:
        """Return one published number."""
        spec = _spec(table)
        row, column = (series, position) if spec["kind"] == "classes" else (position, series)
        found = _sheet(spec).value(row, column)
        empty = f"{table}: nothing printed or readable for {series} at {position}"
        return Absent(empty, published=True) if found is None else found


class ReproducedNumbers:
    """The numbers of this benchmark, from tables' JSON by id."""

    exact = False

    def __init__(self, tables: Mapping[str, Mapping[str, Any]]) -> None:
        self.tables = tables
        self._cells: dict[str, dict[tuple[str, str], Mapping[str, Any]]] = {}

    def positions(self, table: str) -> list[str]:
        """Return the positions of a table, aggregates left out; those in print when it was not built."""
        if table not in self.tables:
            return PublishedNumbers().positions(table)
        built = self.tables[table]
        heads = built["columns"] if built["kind"] == "classes" else built["rows"]
        aggregated = built["kind"] != "measures"
        return [head["id"] for head in heads if not (aggregated and head["reduced"])]

    def value(self, table: str, series: str, position: str) -> float | Absent:
        """Return one measured number, rounded as the table rounds it."""
        if table not in self.tables:
            return Absent(f"{table}: not built")
        stand_ins = [d for d in self.tables[table]["datasets"] if d["stand_in"]]
        if stand_ins:
            return Absent(f"{table}: other data than the paper's: {stand_ins[0]['stand_in']}")
        cell = self._lookup(table).get((series, position))
        if cell is None:
            return Absent(f"{table}: no cell for {series} at {position}")
        if cell["mean"] is None:
            reason = f": {cell['reason']}" if cell["reason"] else ""
            text = f"{table}, {series} at {position}: {cell['state'].replace('_', ' ')}{reason}"
            return Absent(text, applicable=cell["state"] != "not_applicable")
        return float(round(cell["mean"], cell["decimals"]))

    def _lookup(self, table: str) -> dict[tuple[str, str], Mapping[str, Any]]:
        if table not in self._cells:
            self._cells[table] = dict(series_cells(self.tables[table]))
        return self._cells[table]


def series_cells(table: Mapping[str, Any]) -> list[tuple[tuple[str, str], Mapping[str, Any]]]:
    """Return ((series, position), cell) for every cell of a table's JSON."""
    across = table["kind"] == "classes"
    return [
        ((row["id"], column["id"]) if across else (column["id"], row["id"]), cell)
        for row in table["rows"]
        for column, cell in zip(table["columns"], row["cells"], strict=True)
    ]


@cache
def _spec(table: str) -> dict[str, Any]:
    return load_table(table)


def _sheet(spec: Mapping[str, Any]) -> Published:
    if spec["kind"] == "layers":
        raise ConfigError(f"{spec['id']}: a table of layers holds no numbers; name another table")
    return read_published(spec["published"], 2 if spec["kind"] == "classes" else 1)
