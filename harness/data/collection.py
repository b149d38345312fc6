"""What a layout finds: rows that describe images, and chunks that read them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from harness.errors import DataError


@dataclass(frozen=True)
class Row:
    """One image before it is read.

    Attributes:
        split: "train" or "test".
        id: path relative to the category, such as "test/cut/003.png".
        label: class name, "good", or the defect's type.
    """

    split: str
    id: str
    label: str
    anomalous: bool


@dataclass(frozen=True)
class Sample:
    """One image as prepared: pixels uint8 (H,W,C), mask uint8 {0,1} (H,W) or None, digests of their sources."""

    pixels: np.ndarray
    mask: np.ndarray | None
    digest: str
    mask_digest: str = ""
    warning: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Rows that are read together, in their order; `read` takes the side length in pixels and the channels."""

    rows: Sequence[Row]
    read: Callable[[int, int], Iterator[Sample]]


@dataclass
class Collection:
    """Everything of one category, unread.

    Attributes:
        has_masks: whether anomalous pixels are known; normal images then have empty masks.
        notes: what every record measured on these images must say ("lossy JPEG copies").
        warnings: what a reader of the log should see.
    """

    chunks: list[Chunk]
    has_masks: bool
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of all chunks, training first, each split sorted by id."""
        rows = [row for chunk in self.chunks for row in chunk.rows]
        return sorted(rows, key=lambda row: (row.split != "train", row.id))

    def check(self, name: str, where: object) -> None:
        """Raise DataError when nothing can be trained or measured on it."""
        rows = self.rows
        ids = [row.id for row in rows]
        if len(set(ids)) < len(ids):
            twice = next(a for a, b in zip(sorted(ids), sorted(ids)[1:], strict=False) if a == b)
            raise DataError(f"{where}: two images have the id {twice}; remove one of them")
        if not any(row.split == "train" for row in rows):
            raise DataError(f"{where}: {name} has no training image; put normal images into its training folder")
        for anomalous, word in ((True, "anomalous"), (False, "normal")):
            if not any(row.split == "test" and row.anomalous == anomalous for row in rows):
                raise DataError(f"{where}: {name} has no {word} test image; a detector cannot be measured on it")
