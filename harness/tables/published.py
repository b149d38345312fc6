"""The paper's numbers, as printed: one CSV a table, never repaired."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.errors import ConfigError
from harness.paths import ROOT

FOLDER = ROOT / "published"


@dataclass(frozen=True)
class Published:
    """One published table of numbers. Row keys of tables with two key columns are joined: "mnist/lsa"."""

    path: Path
    columns: tuple[str, ...]
    cells: dict[str, dict[str, float | None]]

    def value(self, row: str, column: str) -> float | None:
        """Return a published number; None where nothing was printed, could be read, or is known under these keys."""
        return self.cells.get(row, {}).get(column)


@cache
def read_published(name: str, keys: int = 1) -> Published:
    """Read `published/<name>`, whose first `keys` columns name the row.

    Raises ConfigError for a missing file or a cell that is neither empty nor a number.
    """
    path = FOLDER / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; the published numbers of a table lie in published/")
    with path.open(newline="") as file:
        header, *lines = list(csv.reader(file))
    columns = tuple(header[keys:])
    cells = {
        "/".join(line[:keys]): dict(zip(columns, (_number(cell, path) for cell in line[keys:]), strict=True))
        for line in lines
    }
    return Published(path, columns, cells)


def _number(text: str, path: Path) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ConfigError(f"{path}: '{text}' is not a number; leave the cell empty where none is printed") from None
