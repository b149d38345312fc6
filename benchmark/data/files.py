"""Small helpers on files and folders of datasets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmark.errors import DataError


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


def walk_files(folder: Path) -> Iterator[Path]:
    """Yield every visible file below `folder`, sorted."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path
