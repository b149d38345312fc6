"""Class protocols: how labelled classes become normal training images and a test set.

one_class: the category's class is normal, trained on its training images (Abati et al. 2019).
leave_one_out: the category's class is the anomaly, the other classes, with their labels, are the training set
(Li et al. 2019). Both are tested on the whole test set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.images import fit
from harness.dataset import Dataset
from harness.errors import DataError

BLOCK = 512  # images decoded by one piece of work


@dataclass(frozen=True)
class Labelled:
    """One split of a labelled set: pixels uint8 (N,H,W) or (N,H,W,C), labels (N,) as indices of the classes.

    `source` names the file with the labels.
    """

    pixels: np.ndarray
    labels: np.ndarray
    source: str = ""


def class_names(dataset: Dataset) -> list[str]:
    """Return the names of the classes, in the order of the categories."""
    return [category.class_ or category.title for category in dataset.categories.values()]


def is_normal(label: int, category: str, dataset: Dataset) -> bool:
    """Tell whether images of class `label` are normal under the entry's class protocol."""
    same = label == list(dataset.categories).index(category)
    return same if dataset.class_protocol == "one_class" else not same


def collect_arrays(
    train: Labelled, test: Labelled, dataset: Dataset, category: str, notes: list[str] | None = None
) -> Collection:
    """Select what one category trains and tests on. Raises DataError for a label that no category has."""
    chunks = []
    for split, images in (("train", train), ("test", test)):
        check_labels(images, len(dataset.categories), images.source or f"{dataset.id} {split}")
        normal = np.array([is_normal(label, category, dataset) for label in range(len(dataset.categories))])
        kept = np.flatnonzero(normal[images.labels]) if split == "train" else np.arange(len(images.labels))
        for start in range(0, len(kept), BLOCK):
            chunks.append(_chunk(split, images, kept[start : start + BLOCK], normal, dataset))
    return Collection(chunks, has_masks=None, notes=notes or [])


def check_labels(images: Labelled, classes: int, where: str) -> None:
    """Raise DataError, naming `where`, unless every image has one label from 0 to `classes` - 1."""
    if images.labels.ndim != 1:
        raise DataError(f"{where}: labels must have one dimension, not {images.labels.ndim}; fetch it again")
    if len(images.pixels) != len(images.labels):
        raise DataError(f"{where}: {len(images.labels)} labels of {len(images.pixels)} images; fetch it again")
    wrong = np.flatnonzero((images.labels < 0) | (images.labels >= classes))
    if len(wrong):
        label = int(images.labels[wrong[0]])
        raise DataError(f"{where}: image {wrong[0]} has label {label}, outside 0–{classes - 1}; fetch it again")


def _chunk(split: str, images: Labelled, index: np.ndarray, normal: np.ndarray, dataset: Dataset) -> Chunk:
    names, pad = class_names(dataset), dataset.pad
    rows = [
        Row(split, f"{split}/{i:05}", names[images.labels[i]], split == "test" and not normal[images.labels[i]])
        for i in index
    ]

    def read(size: int, channels: int) -> Iterator[Sample]:
        block = images.pixels[index]
        padded = np.pad(block, [(0, 0), (pad, pad), (pad, pad), *[(0, 0)] * (block.ndim - 3)]) if pad else block
        for pixels, original in zip(padded, block, strict=True):
            yield Sample(small_image(pixels, size, channels), None, hashlib.sha256(original.tobytes()).hexdigest())

    return Chunk(rows, read)


def small_image(pixels: np.ndarray, size: int, channels: int) -> np.ndarray:
    """Return uint8 (size,size,channels) from (H,W) or (H,W,C)."""
    colours = 1 if pixels.ndim == 2 else pixels.shape[2]
    if pixels.shape[:2] == (size, size) and colours == channels:
        return pixels.reshape(size, size, colours)
    image = Image.fromarray(pixels if colours == 3 else pixels.reshape(pixels.shape[:2]))
    return fit(image.convert("L" if channels == 1 else "RGB"), size)
