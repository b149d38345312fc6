"""CIFAR-10's python batches: pickles, read by an unpickler that can build nothing but arrays and plain values."""

from __future__ import annotations

import io
import pickle
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.collection import Collection
from harness.data.layouts.classes import Labelled, check_labels, collect_arrays
from harness.dataset import Dataset
from harness.errors import DataError

TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
TEST = "test_batch"
META = "batches.meta"
FOLDER = "cifar-10-batches-py"
ALLOWED = frozenset({
    ("numpy", "ndarray"), ("numpy", "dtype"), ("numpy._core.multiarray", "_reconstruct"), ("_codecs", "encode"),
})  # fmt: skip


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return the folder with the six batches, at or directly below `base`."""
    folders = [base, base / FOLDER]
    return next((f for f in folders if all((f / name).is_file() for name in [*TRAIN, TEST])), None)


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """Read the five training batches and the test batch."""
    parts = [_read_once(folder / name, (folder / name).stat().st_mtime_ns) for name in [*TRAIN, TEST]]
    for part in parts:
        check_labels(part, len(dataset.categories), part.source)
    train = Labelled(
        np.concatenate([part.pixels for part in parts[:-1]]), np.concatenate([part.labels for part in parts[:-1]])
    )
    found = collect_arrays(train, parts[-1], dataset, category)
    found.scope, found.others = [folder], [folder / name for name in (*TRAIN, TEST, META)]
    return found


@lru_cache(maxsize=6)
def _read_once(path: Path, changed: int) -> Labelled:
    return read_batch(path)


def read_batch(path: Path) -> Labelled:
    """Return one batch, pixels uint8 (N,32,32,3). Raises DataError when the pickle wants anything but data."""
    content = load_plain(path)
    try:
        pixels, labels = np.asarray(content[b"data"]), np.asarray(content[b"labels"], np.int64)
        images = np.ascontiguousarray(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"{path}: no CIFAR-10 batch ({error!r}); fetch it again") from error
    if images.dtype != np.uint8:
        raise DataError(f"{path}: no CIFAR-10 batch (pixels {images.dtype}); fetch it again")
    return Labelled(images, labels, str(path))


def load_plain(path: Path) -> Any:
    """Unpickle numbers, strings, lists, dicts and numpy arrays. Raises DataError on anything that could run code."""
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes()), path).load()
    except DataError:
        raise
    except Exception as error:  # a damaged pickle may fail with almost any exception
        raise DataError(f"{path}: truncated or damaged pickle ({type(error).__name__}); fetch it again") from error


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, path: Path) -> None:
        super().__init__(file, encoding="bytes")
        self.path = path

    def find_class(self, module: str, name: str) -> Any:
        module = module.replace("numpy.core.", "numpy._core.")  # the name of old, deprecated
        if (module, name) not in ALLOWED:
            raise DataError(f"{self.path}: refused, this pickle wants to call {module}.{name}; use the official file")
        return super().find_class(module, name)
