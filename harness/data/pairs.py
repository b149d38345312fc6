"""One image file and, where it has one, its mask file: what the layouts of single images share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.data.collection import Chunk, Row, Sample
from harness.data.images import WHITE, Picture, read_image
from harness.data.masks import LEVELS, Mask, read_map, read_mask
from harness.data.remarks import Remark
from harness.dataset import Dataset
from harness.errors import DataError

DARK = "16-bit images whose brightest pixel is below an eighth of their range (`white_level` says what is white)"


@dataclass(frozen=True)
class Reading:
    """How an entry says that its files are read.

    Attributes:
        pad: black pixels added on every side of an image.
        white: the value of 16-bit grey images that is white.
        values: what a mask's values mean.
        share: of a map's maximum from which on its pixels count; None for masks.
    """

    pad: int = 0
    white: int = WHITE
    values: str = LEVELS
    share: float | None = None

    @classmethod
    def of(cls, dataset: Dataset) -> Reading:
        """Return how the files of a dataset are read."""
        return cls(dataset.pad, dataset.white_level, dataset.mask_values, dataset.attention_threshold)


def pair_chunk(path: Path, row: Row, mask: Path | None, how: Reading) -> Chunk:
    """Return the chunk of one image and its mask."""

    def read(size: int, channels: int) -> Iterator[Sample]:
        picture = read_image(path, size, channels, how.pad, how.white)
        truth = None if mask is None else _truth(mask, size, picture, how)
        if truth is not None and truth.marked and not row.anomalous:
            raise DataError(f"{mask}: marks pixels of {path.name}, whose label is '{row.label}'; correct one of them")
        remarks = [Remark(DARK, row.id)] if picture.dark else []
        if truth is None:
            yield Sample(picture.pixels, None, picture.digest, shape=picture.shape, remarks=tuple(remarks))
            return
        remarks += [Remark(text, row.id, touches_numbers=True) for text in truth.remarks]
        yield Sample(
            picture.pixels, truth.pixels, picture.digest, truth.digest, picture.shape, truth.marked, tuple(remarks)
        )

    return Chunk([row], read, [path] if mask is None else [path, mask])


def _truth(mask: Path, size: int, picture: Picture, how: Reading) -> Mask:
    if how.share is not None:
        return read_map(mask, size, picture.shape, how.share, how.pad)
    return read_mask(mask, size, picture.shape, how.values, how.pad)
