"""Painted silhouettes of ten kinds of clothes: Fashion-MNIST's stand-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from harness.data.demo.painting import Point, Shape, blend, generator
from harness.data.layouts.classes import Labelled

SIDE, TRAIN, TEST = 32, 40, 20
Outline = list[list[Point]]


def classes(settings: Sequence[Mapping[str, Any]]) -> tuple[Labelled, Labelled]:
    """Return training and test images, uint8 (N,32,32), with the indices of their kinds."""
    return _split("train", TRAIN), _split("test", TEST)


@cache
def _split(split: str, each: int) -> Labelled:
    images = [_picture(kind, generator("clothes", kind, split, n)) for kind in range(len(KINDS)) for n in range(each)]
    return Labelled(np.stack(images), np.repeat(np.arange(len(KINDS)), each))


def _picture(kind: int, rng: np.random.Generator) -> np.ndarray:
    """Paint one garment: its outline, a little stretched and shifted, in woven cloth of some brightness."""
    stretch, shift = rng.uniform(0.9, 1.08, 2), rng.uniform(-1.2, 1.2, 2)
    shape = Shape((SIDE, SIDE))
    for part in KINDS[kind](rng):
        middle = SIDE / 2
        shape.polygon([(middle + (x - middle) * stretch[0] + shift[0], middle + (y - middle) * stretch[1] + shift[1])
                       for x, y in part])  # fmt: skip
    cloth = np.full((SIDE, SIDE), int(rng.integers(120, 235)), np.int64) + rng.integers(-12, 13, (SIDE, SIDE))
    if rng.random() < 0.35:
        cloth[int(rng.integers(3)) :: int(rng.integers(4, 7))] -= 45
    cloth = np.clip(cloth, 0, 255)[..., None].repeat(3, axis=-1)
    return blend(np.zeros((SIDE, SIDE, 3), np.uint8), cloth, shape.opacity())[..., 0]


def _top(sleeve: float, hem: float, width: float, neck: float = 3.0) -> Outline:
    """Return a shirt-like outline, mirrored about the middle."""
    left: list[Point] = [
        (16 - neck, 5),
        (16 - width, 7),
        (16 - width - sleeve * 0.55, 9 + sleeve),
    ]
    left += [(16 - width - sleeve * 0.55 + 4.2, 10.5 + sleeve), (16 - width + 1, 13), (16 - width + 1, hem)]
    return [[(16, 6.2), *left, *[(32 - x, y) for x, y in reversed(left)]]]


def _trousers(rng: np.random.Generator) -> Outline:
    leg = rng.uniform(4.2, 5.4)
    return [[(10, 3), (22, 3), (23, 29), (23 - leg, 29), (16, 12), (9 + leg, 29), (9, 29)]]


def _dress(rng: np.random.Generator) -> Outline:
    hem = rng.uniform(7.5, 10)
    return [[(13, 3), (19, 3), (20.5, 8), (19, 14), (16 + hem, 29), (16 - hem, 29), (13, 14), (11.5, 8)]]


def _coat(rng: np.random.Generator) -> Outline:
    width = rng.uniform(6.6, 7.8)
    (outline,) = _top(14, 29, width)
    half = len(outline) // 2 + 1
    return [[*outline[:half], (15.4, 29), (15.4, 7)], [(16.6, 7), (16.6, 29), *outline[half:]]]


def _sandal(rng: np.random.Generator) -> Outline:
    heel = rng.uniform(19, 22)
    return [[(3, 24), (29, heel), (29, heel + 3), (3, 27)], [(6, 24), (10, 17), (12, 18), (9, 25)],
            [(14, 23), (20, 14), (22, 15), (17, 24)], [(24, 22), (25, 13), (27, 13), (27, 22)]]  # fmt: skip


def _sneaker(rng: np.random.Generator) -> Outline:
    tongue = rng.uniform(12, 14)
    return [[(3, 22), (11, 19), (17, tongue), (21, tongue + 1), (28, 14), (29, 25), (3, 26)]]


def _boot(rng: np.random.Generator) -> Outline:
    shaft = rng.uniform(4, 7)
    return [[(4, 23), (14, 19), (16, shaft), (27, shaft), (27, 28), (22, 28), (21, 26), (4, 27)]]


def _bag(rng: np.random.Generator) -> Outline:
    top = rng.uniform(12, 14)
    handle: list[Point] = [(10, top + 1), (12, 6), (20, 6), (22, top + 1), (20, top + 1), (18.6, 8), (13.4, 8)]
    return [[(5, top), (27, top), (28.5, 27), (3.5, 27)], [*handle, (12, top + 1)]]


KINDS: list[Callable[[np.random.Generator], Outline]] = [
    lambda rng: _top(rng.uniform(4, 5.5), 27, rng.uniform(6, 7)),
    _trousers,
    lambda rng: _top(rng.uniform(13, 15), 26, rng.uniform(6.2, 7.2)),
    _dress,
    _coat,
    _sandal,
    lambda rng: _top(rng.uniform(7.5, 9.5), 28, rng.uniform(5.4, 6.2), 1.4),
    _sneaker,
    _bag,
    _boot,
]
