"""Small helpers on files and folders of datasets."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.errors import DataError


def file_digest(path: Path, algorithm: str = "sha256") -> str:
    """Return the hexadecimal digest of a file; one process reads an unchanged file only once."""
    try:
        stat = path.stat()
        return _digest_of(path, algorithm, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from error


@lru_cache(maxsize=256)
def _digest_of(path: Path, algorithm: str, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def array_digest(array: np.ndarray) -> str:
    """Return the SHA-256 of an array's shape and values."""
    content = np.ascontiguousarray(array)
    return hashlib.sha256(repr(content.shape).encode() + content.tobytes()).hexdigest()


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in `folder`, sorted by name; none when it does not exist."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def file_states(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and date (ns) of every visible file below `folder`, sorted; linked folders are followed once."""
    seen = set[tuple[int, int]]()

    def walk(path: str) -> Iterator[tuple[str, int, int]]:
        place = Path(path).stat()
        if (place.st_dev, place.st_ino) in seen:
            return
        seen.add((place.st_dev, place.st_ino))
        with os.scandir(path) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir():
                yield from walk(entry.path)
            elif entry.is_file():
                state = entry.stat()
                yield entry.path, state.st_size, state.st_mtime_ns

    yield from walk(str(folder))
