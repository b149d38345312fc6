"""An image-classification tree: {train,test}/<class>/*."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.files import composed, subfolders
from harness.data.images import image_files
from harness.data.layouts.classes import class_names, is_normal
from harness.data.pairs import Reading, pair_chunk
from harness.dataset import Dataset
from harness.errors import DataError

BLOCK = 256
SPLITS = ("train", "test")
LOSSY = "lossy JPEG copies of a lossless dataset"
JPEG = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return `base` when it has a folder for every class in train and in test."""
    return base if _folders(base, dataset) else None


def _folders(base: Path, dataset: Dataset) -> dict[str, list[Path]] | None:
    """Return each split's class folders, in the order of the classes.

    They are called as the classes, with _ or - for a slash, or as the categories' ids, in any case.
    """
    names = class_names(dataset)
    present = {split: {_key(path.name): path for path in subfolders(base / split)} for split in SPLITS}
    for called in ([n.replace("/", "_") for n in names], [n.replace("/", "-") for n in names], [*dataset.categories]):
        if all(_key(name) in present[split] for split in SPLITS for name in called):
            return {split: [present[split][_key(name)] for name in called] for split in SPLITS}
    return None


def _key(name: str) -> str:
    return composed(name).casefold()


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """List the images of one class protocol. Raises DataError for a class folder that no category names."""
    folders, chunks, others = _folders(folder, dataset) or {}, list[Chunk](), list[Path]()
    for split, places in folders.items():
        unknown = set(subfolders(folder / split)) - set(places)
        if unknown:
            raise DataError(f"{min(unknown)}: a class that no category names; add it or remove it")
        for label, (place, name) in enumerate(zip(places, class_names(dataset), strict=True)):
            normal = is_normal(label, category, dataset)
            if split == "train" and not normal:
                others += image_files(place)
                continue
            paths = _images(place)
            for start in range(0, len(paths), BLOCK):
                block = paths[start : start + BLOCK]
                rows = [
                    Row(split, f"{split}/{composed(path.relative_to(place.parent).as_posix())}", name,
                        split == "test" and not normal) for path in block
                ]  # fmt: skip
                chunks.append(_chunk(rows, block, Reading.of(dataset)))
    lossy = any(path.suffix.lower() in JPEG for chunk in chunks for path in chunk.files)
    notes = [LOSSY] if lossy and dataset.lossless else []
    return Collection(chunks, None, notes, scope=[folder], others=others)


def _images(folder: Path) -> list[Path]:
    paths = image_files(folder)
    if not paths:
        raise DataError(f"{folder}: no image in this class; add some, or remove the class from the entry")
    return paths


def _chunk(rows: list[Row], paths: list[Path], how: Reading) -> Chunk:
    def read(size: int, channels: int) -> Iterator[Sample]:
        for row, path in zip(rows, paths, strict=True):
            yield from pair_chunk(path, row, None, how).read(size, channels)

    return Chunk(rows, read, paths)
