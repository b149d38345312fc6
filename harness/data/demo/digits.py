"""Scikit-learn's handwritten digits: MNIST's stand-in."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from harness.data.demo.painting import package_folder
from harness.data.layouts.classes import Labelled

TRAIN = 1200  # of 1,797; the file lists whole writers one after the other, so most test writers are new
BRIGHTEST = 16


def classes(settings: Sequence[Mapping[str, Any]]) -> tuple[Labelled, Labelled]:
    """Return training and test images, uint8 (N,8,8), with their digits."""
    table = _table()
    pixels = (table[:, :64] * 255 // BRIGHTEST).astype(np.uint8).reshape(-1, 8, 8)
    return Labelled(pixels[:TRAIN], table[:TRAIN, 64]), Labelled(pixels[TRAIN:], table[TRAIN:, 64])


@cache
def _table() -> np.ndarray:
    with gzip.open(package_folder("sklearn") / "datasets" / "data" / "digits.csv.gz", "rt") as file:
        return np.loadtxt(file, delimiter=",", dtype=np.int64)
