"""The IDX files of MNIST and Fashion-MNIST, plain or gzipped: a header, then unsigned bytes."""

from __future__ import annotations

import gzip
import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from harness.data.collection import Collection
from harness.data.layouts.classes import Labelled, collect_arrays
from harness.dataset import Dataset
from harness.errors import DataError

UNSIGNED_BYTE = 8
LARGEST = 1 << 30


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return `base` when it holds all files of the entry, each plain or gzipped."""
    names = dataset.files
    return base if names and all(find(base, name) for name in names) else None


def find(base: Path, name: str) -> Path | None:
    """Return the file `name` or `name`.gz in `base`."""
    return next((path for path in (base / name, base / f"{name}.gz") if path.is_file()), None)


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """Read the four files (training images and labels, test images and labels, in the entry's order)."""
    paths = [path for path in (find(folder, name) for name in dataset.files) if path is not None]
    train, test = (_split(*paths[start : start + 2]) for start in (0, 2))
    found = collect_arrays(train, test, dataset, category)
    found.scope, found.others = [folder], [folder / f"{name}{end}" for name in dataset.files for end in ("", ".gz")]
    return found


def _split(image_file: Path, label_file: Path) -> Labelled:
    images, labels = (_read_once(path, path.stat().st_mtime_ns) for path in (image_file, label_file))
    if images.ndim != 3:
        raise DataError(f"{image_file}: images must have three dimensions, not {images.ndim}; fetch it again")
    return Labelled(images, labels.astype(np.int64), str(label_file))


@lru_cache(maxsize=4)
def _read_once(path: Path, changed: int) -> np.ndarray:
    """Keep the four files of a set: one process may prepare its ten categories."""
    return read_idx(path)


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file, uint8. Raises DataError when its header does not fit its content."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] != UNSIGNED_BYTE or not 1 <= start[3] <= 4:
                raise DataError(f"{path}: not an IDX file of unsigned bytes; fetch it again")
            shape = struct.unpack(f">{start[3]}I", file.read(4 * start[3]))
            expected = int(np.prod(shape, dtype=object))
            if expected > LARGEST:
                raise DataError(f"{path}: its header promises {expected} bytes, which no such set has; fetch it again")
            content = file.read(expected + 1)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise DataError(f"{path}: truncated or damaged ({error}); fetch it again") from error
    if len(content) != expected:
        amount = f"{len(content)}" if len(content) < expected else f"more than {expected}"
        raise DataError(f"{path}: its header promises {expected} bytes, it holds {amount}; fetch it again")
    return np.frombuffer(content, np.uint8).reshape(shape)
