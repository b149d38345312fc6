"""What a build does before it plans: undo what a crash, a power loss or a clock that was set back left behind."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
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
        with contextlib.suppress(FileNotFoundError):  # a job of a killed build may be ending just now
            _tidy(path, now, made=path.is_relative_to(here / "work"))


def _tidy(path: Path, now: float, made: bool) -> None:
    found = path.stat()
    if TEMPORARY.fullmatch(path.name):
        _remove_dead(path, now)
    elif found.st_size == 0 and path.suffix == ".json" and made:
        print(f"{path}: empty, so it is made again", file=sys.stderr)
        path.unlink()
    elif found.st_mtime > now + 1:
        print(f"{path}: dated in the future; its date is now", file=sys.stderr)
        os.utime(path)


def _remove_dead(path: Path, now: float) -> None:
    """Remove a temporary file or folder to which nothing has been written for long."""
    inside = path.rglob("*") if path.is_dir() else ()
    if now - max(part.stat().st_mtime for part in (path, *inside)) > DEAD_AFTER:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _files(here: Path) -> Iterator[Path]:
    """Yield the files that builds write, and whole temporary folders; of the raw data only the stamps beside them."""
    for place in _PLACES:
        for folder, folders, names in os.walk(here / place):
            temporary = [name for name in folders if TEMPORARY.fullmatch(name)]
            folders[:] = [name for name in folders if name not in temporary]
            yield from (Path(folder, name) for name in [*names, *temporary])
    yield from (here / "work" / "raw").glob("*/*.json")
