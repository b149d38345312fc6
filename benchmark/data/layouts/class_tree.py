"""An image-classification tree: {train,test}/<class>/*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmark.data.collection import Chunk, Collection, Row, Sample
from benchmark.data.files import subfolders
from benchmark.data.images import is_image, read_image
from benchmark.data.layouts.classes import class_names, is_normal
from benchmark.errors import DataError

BLOCK = 256
LOSSY = "lossy JPEG copies of a lossless dataset"
JPEG = frozenset({".jpg", ".jpeg"})


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return `base` when it has a folder for every class in train and in test."""
    names = class_names(entry)
    return base if all((base / split / n).is_dir() for split in ("train", "test") for n in names) else None


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """List the images of one class protocol. Raises DataError for a class folder that no category names."""
    names, chunks, lossy = class_names(entry), list[Chunk](), False
    for split in ("train", "test"):
        unknown = {path.name for path in subfolders(folder / split)} - set(names)
        if unknown:
            raise DataError(f"{folder / split / min(unknown)}: a class that no category names; add it or remove it")
        for label, name in enumerate(names):
            normal = is_normal(label, category, entry)
            if split == "train" and not normal:
                continue
            paths = _images(folder / split / name)
            lossy = lossy or any(path.suffix.lower() in JPEG for path in paths)
            for start in range(0, len(paths), BLOCK):
                block = paths[start : start + BLOCK]
                rows = [Row(split, f"{split}/{name}/{p.name}", name, split == "test" and not normal) for p in block]
                chunks.append(_chunk(rows, block, int(entry.get("pad", 0))))
    return Collection(chunks, has_masks=False, notes=[LOSSY] if lossy and entry.get("lossless") else [])


def _images(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if is_image(path))
    if not paths:
        raise DataError(f"{folder}: no image in this class; add some, or remove the class from the entry")
    for stem, number in Counter(path.stem for path in paths).items():
        if number > 1:
            raise DataError(f"{folder / stem}.*: two images have this name; remove one of them")
    return paths


def _chunk(rows: list[Row], paths: list[Path], pad: int) -> Chunk:
    def read(size: int, channels: int) -> Iterator[Sample]:
        for path in paths:
            pixels, digest, _ = read_image(path, size, channels, pad)
            yield Sample(pixels, None, digest)

    return Chunk(rows, read)
