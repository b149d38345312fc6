"""Single files that are fetched like a dataset and hold no images: pretrained weights."""

from __future__ import annotations

from pathlib import Path

from harness.data.collection import Collection
from harness.dataset import Dataset
from harness.errors import DataError


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return `base` when it holds all files of the entry."""
    return base if all((base / name).is_file() for name in dataset.files) else None


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """Raise DataError: there is nothing to prepare."""
    raise DataError(f"{dataset.id}: holds no images to prepare")
