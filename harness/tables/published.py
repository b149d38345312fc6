"""The paper's numbers, as printed: one CSV a table, never repaired."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import ConfigError
from harness.paths import ROOT
from harness.tables.table import Axis

FOLDER = ROOT / "published"


@dataclass(frozen=True)
class Published:
    """One printed table of numbers, by series (methods) and positions (categories, classes, phases).

    Methods that run down have two key columns, joined: "mnist/lsa".
    """

    series: tuple[str, ...]
    positions: tuple[str, ...]
    numbers: dict[tuple[str, str], float | None]

    def value(self, series: str, position: str) -> float | None:
        """Return a printed number; None where nothing was printed, could be read, or is known under these keys."""
        return self.numbers.get((series, position))


@cache
def read_published(name: str, methods: Axis = "columns") -> Published:
    """Read `published/<name>`, in which the methods run along `methods`.

    Raises ConfigError for a missing file or a cell that is neither empty nor a number.
    """
    path = FOLDER / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; the published numbers of a table lie in published/")
    with path.open(newline="") as file:
        header, *lines = list(csv.reader(file))
    keys = 2 if methods == "rows" else 1
    rows, columns = ["/".join(line[:keys]) for line in lines], tuple(header[keys:])
    cells = {
        (row, column) if methods == "rows" else (column, row): _number(text, path)
        for row, line in zip(rows, lines, strict=True)
        for column, text in zip(columns, line[keys:], strict=True)
    }
    return Published(*((tuple(rows), columns) if methods == "rows" else (columns, tuple(rows))), cells)


def _number(text: str, path: Path) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ConfigError(f"{path}: '{text}' is not a number; leave the cell empty where none is printed") from None
