"""Markers: small JSON files that say how a stage ended. A stage's output is complete iff its marker says so."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_marker(path: Path, content: dict[str, Any]) -> None:
    """Write a marker atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    temporary.replace(path)


def read_marker(path: Path) -> dict[str, Any] | None:
    """Return a marker's content; None if there is none, or if it is damaged and the stage has to run again."""
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content


def attempts(work: Path, name: str) -> int:
    """Return how often a piece of work has failed so far. The workflow retries when this number has grown."""
    path = work / "failures" / name
    return len(path.read_text().splitlines()) if path.exists() else 0


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
