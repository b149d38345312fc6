"""Embedded stand-ins: images painted, or cut from photographs that installed packages bring along."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from PIL import Image

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.demo.painting import Painted
from harness.data.files import array_digest
from harness.data.images import fit, shrink_mask
from harness.dataset import Dataset


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return None: embedded data lie nowhere."""
    return None


def collect(folder: Path | None, dataset: Dataset, category: str) -> Collection:
    """Paint one category with the module that the entry's `painter` names."""
    painter = import_module(f"harness.data.demo.{dataset.painter}")
    chunks = [_chunk(image) for image in painter.paint(category, dataset.categories[category].painting)]
    return Collection(chunks, dataset.masks is not False)


def _chunk(image: Painted) -> Chunk:
    def read(size: int, channels: int) -> Iterator[Sample]:
        picture = Image.fromarray(image.pixels).convert("L" if channels == 1 else "RGB")
        mask = None if image.mask is None else shrink_mask(image.mask, size)
        digest, truth = array_digest(image.pixels), "" if image.mask is None else array_digest(image.mask)
        marked = image.mask is not None and bool(image.mask.any())
        yield Sample(fit(picture, size), mask, digest, truth, marked=marked)

    return Chunk([Row(image.split, image.name, image.label, image.anomalous, image.clip)], read)
