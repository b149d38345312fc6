"""An image-classification tree: {train,test}/<class>/*."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.files import subfolders
from harness.data.images import image_files, read_image
from harness.data.layouts.classes import class_names, is_normal
from harness.errors import DataError

BLOCK = 256
LOSSY = "lossy JPEG copies of a lossless dataset"
JPEG = frozenset({".jpg", ".jpeg"})


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return `base` when it has a folder for every class in train and in test."""
    return base if _folders(base, entry) else None


def _folders(base: Path, entry: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the class folders: the classes' names, with _ or - for a slash, or the categories' ids."""
    names = class_names(entry)
    for folders in ([n.replace("/", "_") for n in names], [n.replace("/", "-") for n in names], [*entry["categories"]]):
        if all((base / split / name).is_dir() for split in ("train", "test") for name in folders):
            return folders
    return None


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """List the images of one class protocol. Raises DataError for a class folder that no category names."""
    folders, chunks, lossy = _folders(folder, entry) or class_names(entry), list[Chunk](), False
    for split in ("train", "test"):
        unknown = {path.name for path in subfolders(folder / split)} - set(folders)
        if unknown:
            raise DataError(f"{folder / split / min(unknown)}: a class that no category names; add it or remove it")
        for label, (home, name) in enumerate(zip(folders, class_names(entry), strict=True)):
            normal = is_normal(label, category, entry)
            if split == "train" and not normal:
                continue
            paths = _images(folder / split / home)
            lossy = lossy or any(path.suffix.lower() in JPEG for path in paths)
            for start in range(0, len(paths), BLOCK):
                block = paths[start : start + BLOCK]
                rows = [Row(split, f"{split}/{home}/{p.name}", name, split == "test" and not normal) for p in block]
                chunks.append(_chunk(rows, block, int(entry.get("pad", 0))))
    return Collection(chunks, has_masks=False, notes=[LOSSY] if lossy and entry.get("lossless") else [])


def _images(folder: Path) -> list[Path]:
    paths = image_files(folder)
    if not paths:
        raise DataError(f"{folder}: no image in this class; add some, or remove the class from the entry")
    return paths


def _chunk(rows: list[Row], paths: list[Path], pad: int) -> Chunk:
    def read(size: int, channels: int) -> Iterator[Sample]:
        for path in paths:
            pixels, digest, _ = read_image(path, size, channels, pad)
            yield Sample(pixels, None, digest)

    return Chunk(rows, read)
