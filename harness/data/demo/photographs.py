"""Squares cut from colour photographs, one photograph a class: CIFAR-10's stand-in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from harness.data.demo.painting import generator, photograph
from harness.data.layouts.classes import Labelled

CUT, SIDE = 40, 32
TRAIN, TEST = 36, 18


def classes(settings: Sequence[Mapping[str, Any]]) -> tuple[Labelled, Labelled]:
    """Return training and test images, uint8 (N,32,32,3); no two squares of a photograph overlap."""
    squares = [_squares(setting["photograph"]) for setting in settings]
    parts = []
    for first, last in ((0, TRAIN), (TRAIN, TRAIN + TEST)):
        labels = np.repeat(np.arange(len(squares)), last - first)
        parts.append(Labelled(np.concatenate([square[first:last] for square in squares]), labels))
    return parts[0], parts[1]


@cache
def _squares(name: str) -> np.ndarray:
    image = photograph(name).convert("RGB")
    corners = [(x, y) for y in range(0, image.height - CUT + 1, CUT) for x in range(0, image.width - CUT + 1, CUT)]
    chosen = generator("photographs", name).permutation(len(corners))[: TRAIN + TEST]
    cuts = [image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, (x, y, x + CUT, y + CUT)) for x, y in
            (corners[index] for index in chosen)]  # fmt: skip
    return np.stack([np.asarray(cut) for cut in cuts])
