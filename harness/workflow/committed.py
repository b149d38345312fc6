"""Results that a clone brought along: files that are there although no build in this folder made them.

Snakemake takes a file for up to date when it is there and knows nothing else about it. Committed tables would therefore
never be completed in a clone that has the data, and never be checked against the records.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterator
from pathlib import Path, PurePath

from harness.tables.render import FORMATS

METADATA = Path(".snakemake", "metadata")
EVERYTHING = "all"
OF_ALL_TABLES = ("report.html", "tables.pdf", EVERYTHING)


def brought_along(targets: Collection[str], tables: Collection[str]) -> set[str]:
    """Return what has to be made afresh for `targets`: their tables, and the targets themselves.

    Paths are relative to the working directory, as Snakemake names them.
    """
    found: set[str] = set()
    for target in targets:
        path = PurePath(os.path.relpath(target))
        if path.parts[:1] == ("results",):
            found |= {name for name in map(str, (path, *_tables_of(path, tables))) if _unknown(name)}
    return found


def _tables_of(target: PurePath, tables: Collection[str]) -> Iterator[PurePath]:
    """Yield the JSON of the tables that a result is made from; of everything, their views too."""
    name = target.stem.removeprefix("plot_")
    shown = tables if target.name in OF_ALL_TABLES else {name} & set(tables)
    views = ("json", *FORMATS) if target.name == EVERYTHING else ("json",)
    yield from (target.with_name(f"{table}.{view}") for table in shown for view in views)


def _unknown(name: str) -> bool:
    """Say whether a file is there of which Snakemake has no record; its records are named by the path in base64."""
    recorded = METADATA / urlsafe_b64encode(name.encode()).decode()
    return Path(name).is_file() and not recorded.exists()
