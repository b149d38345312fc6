"""What a build does before it plans: undo what a crash, a power loss or a clock that was set back left behind."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

TEMPORARY = re.compile(r"\..*\.(tmp|\d+\.(test|validation|npz))|(checkpoint|weights)\.tmp")
"""Names under which files are written before they are renamed."""
DEAD_AFTER = 3600.0
"""Seconds without a write after which a temporary file belongs to nobody: a job on another machine may still write."""
_PLACES = ("work/data", "work/fits", "work/maps", "work/records", "work/layers", "records", "results")


def tidy(here: Path) -> None:
    """Remove dead temporary files and empty markers and records below `here`, and bring dates of the future to now.

    An input that is dated in the future makes Snakemake throw a job's outputs away for being older; an empty file is
    what a power loss leaves of one that was never forced to disk.
    """
    now = time.time()
    for path in _files(here):
        found = path.stat()
        if TEMPORARY.fullmatch(path.name):
            if now - found.st_mtime > DEAD_AFTER:
                path.unlink()
        elif found.st_size == 0 and path.suffix == ".json" and path.is_relative_to(here / "work"):
            print(f"{path}: empty, so it is made again", file=sys.stderr)
            path.unlink()
        elif found.st_mtime > now + 1:
            print(f"{path}: dated in the future; its date is now", file=sys.stderr)
            os.utime(path)


def _files(here: Path) -> Iterator[Path]:
    """Yield the files that builds write; of the raw data only the stamps beside them."""
    for place in _PLACES:
        for folder, _, names in os.walk(here / place):
            yield from (Path(folder, name) for name in names)
    yield from (here / "work" / "raw").glob("*/*.json")
