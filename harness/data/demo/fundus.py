"""Painted fundus images; glaucoma is an optic disc whose cup is too large: LAG's stand-in."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from harness.data.demo.painting import Painted, Point, Shape, blend, brighten, curve, generator

SIDE = 128
TRAIN, NORMAL, GLAUCOMA = 60, 20, 20
VESSEL = (122, 28, 18)


def paint(category: str, settings: Mapping[str, Any]) -> Iterator[Painted]:
    """Yield the images; the mask of a glaucoma image is its optic disc."""
    plan = [("train", "normal", TRAIN), ("test", "normal", NORMAL), ("test", "glaucoma", GLAUCOMA)]
    for split, label, number in plan:
        for index in range(number):
            pixels, disc = _eye(label == "glaucoma", generator("fundus", split, label, index))
            mask = disc if label == "glaucoma" else None
            yield Painted(split, f"{split}/{label}/{index:03}.png", label, label == "glaucoma", pixels, mask)


def _eye(ill: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Paint one eye; return pixels (H,W,3) and the optic disc's mask (H,W)."""
    size = (SIDE, SIDE)
    side = 1 if rng.random() < 0.5 else -1
    disc = (SIDE / 2 + side * float(rng.uniform(24, 29)), SIDE / 2 + float(rng.uniform(-4, 4)))
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    for step in range(6):
        tone = np.array([126 + 14 * step, 44 + 9 * step, 18 + 3 * step]) + rng.integers(-2, 3, 3)
        pixels = blend(pixels, tone, _disc(61 - 7 * step))
    macula = (SIDE / 2 - side * float(rng.uniform(17, 21)), SIDE / 2 + float(rng.uniform(0, 5)))
    pixels = blend(pixels, (92, 30, 14), Shape(size).ellipse(macula, (9, 9)).opacity(blur=4), 150)
    pixels = _vessels(pixels, disc, side, rng)
    radii = (float(rng.uniform(14, 16)), float(rng.uniform(15.5, 17.5)))
    cup = float(rng.uniform(0.7, 0.84) if ill else rng.uniform(0.3, 0.42))
    rim = Shape(size).ellipse(disc, radii)
    pixels = blend(pixels, (236, 176, 98), rim.opacity(blur=1), 225)
    pixels = blend(pixels, (252, 240, 202), Shape(size).ellipse(disc, (radii[0] * cup, radii[1] * cup)).opacity(blur=1))
    pixels = _vessels(pixels, disc, side, rng, count=2, width=1.8)
    grain = rng.integers(-5, 6, (SIDE, SIDE, 1)) * (pixels.any(axis=-1, keepdims=True))
    pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    return brighten(pixels, int(rng.integers(92, 109))), rim.mask()


@cache
def _disc(radius: int) -> np.ndarray:
    """Return the opacity of a disc in the middle, the same for every eye."""
    return Shape((SIDE, SIDE)).ellipse((SIDE / 2, SIDE / 2), (radius, radius)).opacity(blur=2)


def _vessels(
    pixels: np.ndarray, disc: Point, side: int, rng: np.random.Generator, count: int = 7, width: float = 2.4
) -> np.ndarray:
    """Paint vessels that leave the disc upwards and downwards and bend around the macula."""
    lines = Shape((SIDE, SIDE))
    for number in range(count):
        down = -1 if number % 2 else 1
        reach, height = float(rng.uniform(50, 84)), float(rng.uniform(26, 50))
        away = -side if number < 5 else side
        end = (disc[0] + away * reach, disc[1] + down * height * float(rng.uniform(0.3, 1.0)))
        path = curve(
            [
                disc,
                (disc[0] + away * 4, disc[1] + down * height),
                (disc[0] + away * reach / 2, disc[1] + down * height),
                end,
            ]
        )
        lines.line(path, width)
        fork = path[len(path) // 2]
        turn = float(rng.uniform(-0.7, 0.7)) + (0 if away > 0 else math.pi)
        tip = (fork[0] + 26 * math.cos(turn), fork[1] + 26 * math.sin(turn))
        lines.line(curve([fork, ((fork[0] + tip[0]) / 2, fork[1] + 4 * down), tip], 10), width * 0.6)
    inside = _disc(60).astype(np.int64)
    return blend(pixels, VESSEL, (lines.opacity() * inside // 255).astype(np.uint8), 190)
