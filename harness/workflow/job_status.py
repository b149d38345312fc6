"""The status of a job: a small JSON file that says how a stage ended. Its output is complete iff the status says so."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.data.atomic import atomic_file


def write_status(path: Path, content: dict[str, Any]) -> None:
    """Write a status file atomically and durably: after a power loss it is there whole or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
        force_to_disk(temporary)
    _sync(path.parent)


def force_to_disk(path: Path) -> None:
    """Force a file, or every file of a folder, and their names to disk.

    Called before the status that vouches for them is written, and before a job reports success: Snakemake keeps a job
    marked as incomplete until then, so what a power loss cuts off earlier is made again.
    """
    for part in [*(path.iterdir() if path.is_dir() else []), path, path.parent]:
        _sync(part)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return what a status file says; None if there is none, or if it is damaged and the stage has to run again."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content


def attempts(work: Path, name: str) -> int:
    """Return how often a piece of work has failed so far. The workflow retries when this number has grown."""
    path = work / "failures" / name
    return len(path.read_text().splitlines()) if path.exists() else 0


def all_attempts(work: Path) -> dict[str, int]:
    """Return how often each piece of work has failed so far. Counted, because file dates can lie."""
    return {path.name: attempts(work, path.name) for path in sorted((work / "failures").glob("*"))}


def failure_name(record: Path) -> str:
    """Return the name under which failures of measuring one cell are counted; `record` is its record's path."""
    return ".".join(record.with_suffix("").parts)


def note_failure(work: Path, name: str, reason: str) -> None:
    """Count one failure of a piece of work."""
    path = work / "failures" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(" ".join(reason.split()) + "\n")


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while working; a second process waits and says so. The kernel frees it when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{what}: another process is at it; waiting for its lock {path}", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
