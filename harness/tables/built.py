"""The tables that a results folder holds."""

from __future__ import annotations

from pathlib import Path

from harness.tables.render import read_table
from harness.tables.spec import table_ids
from harness.tables.table import AnyTable


def read_tables(folder: Path) -> dict[str, AnyTable]:
    """Return every table that was built in a results folder, by id."""
    paths = [folder / f"{name}.json" for name in table_ids()]
    return {path.stem: read_table(path) for path in paths if path.is_file()}
