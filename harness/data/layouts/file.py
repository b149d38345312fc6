"""Single files that are fetched like a dataset and hold no images: pretrained weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data.collection import Collection
from harness.errors import DataError


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return `base` when it holds all files of the entry."""
    return base if all((base / name).is_file() for name in entry["files"]) else None


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """Raise DataError: there is nothing to prepare."""
    raise DataError(f"{entry['id']}: holds no images to prepare")
