"""Small helpers on files and folders of datasets."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.errors import DataError

LITTER = (
    ".DS_Store", "._*", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".nomedia", "__MACOSX", "@eaDir",
    ".ipynb_checkpoints", ".git", ".gitignore", ".gitattributes", ".gitkeep", ".svn", ".Trash*", ".fseventsd",
    ".Spotlight-V100", ".TemporaryItems",
)  # fmt: skip
_LITTER = re.compile("|".join(map(fnmatch.translate, LITTER)))
_PAPERS = re.compile(r"(licen[cs]e|readme|copying|citation|changelog|notice)[^.]*(\.(txt|md|html?|rst|pdf|bib))?", re.I)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


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


def composed(name: str) -> str:
    """Return a name in Unicode's composed form: macOS writes `é` as two characters, others as one."""
    return unicodedata.normalize("NFC", name)


def subfolders(folder: Path) -> list[Path]:
    """Return the visible folders in `folder`, sorted by name; none when it does not exist."""
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir())
    return sorted(path for path in found if not path.name.startswith(".") and not _LITTER.fullmatch(path.name))


def walk(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield every file below `folder`, sorted; linked folders are followed once, known litter is passed over.

    Raises DataError, in one line, for a name that no record could carry.
    """
    seen = set[tuple[int, int]]()

    def below(path: str) -> Iterator[os.DirEntry[str]]:
        place = Path(path).stat()
        if (place.st_dev, place.st_ino) in seen:
            return
        seen.add((place.st_dev, place.st_ino))
        with os.scandir(path) as found:
            entries = sorted(
                (entry for entry in found if not _LITTER.fullmatch(entry.name)), key=lambda entry: entry.name
            )
        for entry in entries:
            _require_plain_name(entry.path)
            if entry.is_dir():
                yield from below(entry.path)
            elif entry.is_file() or not Path(entry.path).exists():  # a link that leads nowhere is told by who reads it
                yield entry
            else:
                raise DataError(f"{entry.path}: neither a file nor a folder; remove it")

    try:
        yield from below(str(folder))
    except OSError as error:
        name = error.filename or folder
        raise DataError(f"{name}: cannot be listed ({error.strerror}); add it or change its rights") from error


def _require_plain_name(path: str) -> None:
    shown = os.fsencode(path).decode("utf-8", "backslashreplace")
    if shown != path:
        raise DataError(f"{shown}: a file name that is not UTF-8; rename it")
    if _CONTROL.search(path):
        raise DataError(f"{_CONTROL.sub('?', path)}: a file name with control characters; rename it")


def file_states(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Yield path, size and date (ns) of every file below `folder`, sorted; zeros for a link that leads nowhere."""
    for entry in walk(folder):
        try:
            state = entry.stat()
        except OSError:
            yield entry.path, 0, 0
        else:
            yield entry.path, state.st_size, state.st_mtime_ns


def leftovers(
    scope: Iterable[Path], home: Path, claimed: set[Path], ignored: Iterable[str]
) -> Iterator[tuple[Path, str]]:
    """Yield each file below the folders of `scope` that nobody claims, and its path from `home`.

    Known litter, a licence or a readme, and what matches the patterns in `ignored` are left out.
    """
    patterns = re.compile("|".join(map(fnmatch.translate, ignored)) or r"(?!)")
    for folder in scope:
        for entry in walk(folder) if folder.is_dir() else ():
            path = Path(entry.path)
            relative = path.relative_to(home).as_posix()
            if path not in claimed and not _PAPERS.fullmatch(entry.name) and not patterns.fullmatch(relative):
                yield path, relative
