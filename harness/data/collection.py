"""What a layout finds: rows that describe images, and chunks that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.files import leftovers
from harness.data.images import is_image
from harness.data.remarks import Remark
from harness.errors import DataError

NORMAL = frozenset({"good", "normal", "ok", "0"})
UNUSED_IMAGES = "images that no row takes, so they are left out"
UNUSED_FILES = "files that are no image, so they are left out"
NO_NORMAL = "no normal test image: image AuROC and accuracies of both classes are undefined"
NO_MASKS = "no masks: localisation is not measured"


def is_normal_name(name: str) -> bool:
    """Tell whether a folder or a label says normal: good, normal, ok or 0, in any case."""
    return name.strip().casefold() in NORMAL


@dataclass(frozen=True)
class Row:
    """One image before it is read.

    Attributes:
        split: "train" or "test".
        id: path relative to the category, such as "test/cut/003.png".
        label: class name, "good", or the defect's type.
        clip: the video that it is a frame of, or nothing.
    """

    split: str
    id: str
    label: str
    anomalous: bool
    clip: str = ""


@dataclass(frozen=True)
class Sample:
    """One image as prepared: pixels uint8 (H,W,C), mask uint8 {0,1} (H,W) or None, digests of their sources.

    Attributes:
        shape: width and height of the source; None where all are the same.
        marked: whether the mask marks anything before it is resized.
        remarks: what a reader should know of the image.
    """

    pixels: np.ndarray
    mask: np.ndarray | None
    digest: str
    mask_digest: str = ""
    shape: tuple[int, int] | None = None
    marked: bool = False
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Chunk:
    """Rows that are read together, in their order, from `files`; `read` takes the side in pixels and the channels."""

    rows: Sequence[Row]
    read: Callable[[int, int], Iterator[Sample]]
    files: Sequence[Path] = ()


@dataclass
class Collection:
    """Everything of one category, unread.

    Attributes:
        has_masks: whether anomalous pixels are known; normal images then have empty masks. None where there cannot be
            any: images of classes.
        notes: what every record measured on these images must say ("lossy JPEG copies").
        remarks: what a reader of the log should see.
        sources: the archives and files that the raw data came from.
        scope: the folders in which every file must be accounted for.
        others: files in them that are known to belong to other categories, or that the entry says not to read.
    """

    chunks: list[Chunk]
    has_masks: bool | None
    notes: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    sources: list[Mapping[str, Any]] = field(default_factory=list)
    scope: Sequence[Path] = ()
    others: Iterable[Path] = ()

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of all chunks, training first, each split sorted by id."""
        rows = [row for chunk in self.chunks for row in chunk.rows]
        return sorted(rows, key=lambda row: (row.split != "train", row.id))

    def unused(self, home: Path, ignored: Iterable[str]) -> list[Remark]:
        """Return a remark for every file that belongs to no row, named from `home`.

        `ignored` are patterns of files to pass over.
        """
        claimed = {path for chunk in self.chunks for path in chunk.files} | set(self.others)
        return [
            Remark(UNUSED_IMAGES, name, touches_numbers=True) if is_image(path) else Remark(UNUSED_FILES, name)
            for path, name in leftovers(self.scope, home, claimed, ignored)
        ]

    def check(self, name: str, where: object) -> None:
        """Raise DataError when nothing can be trained or measured on it."""
        rows = self.rows
        ids = [row.id for row in rows]
        if len(set(ids)) < len(ids):
            twice = next(a for a, b in zip(sorted(ids), sorted(ids)[1:], strict=False) if a == b)
            raise DataError(f"{where}: two images have the id {twice}; remove one of them")
        if not any(row.split == "train" for row in rows):
            raise DataError(f"{where}: {name} has no training image; put normal images into its training folder")
        if not any(row.split == "test" and row.anomalous for row in rows):
            raise DataError(f"{where}: {name} has no anomalous test image; a detector cannot be measured on it")

    def gaps(self) -> list[str]:
        """Return what the rows do not allow to be measured."""
        normal = any(row.split == "test" and not row.anomalous for row in self.rows)
        return ([] if normal else [NO_NORMAL]) + ([NO_MASKS] if self.has_masks is False else [])
