"""Textures cut from bundled photographs, and one painted object, with painted defects: MVTec AD's stand-in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from harness.data.demo.defects import KINDS
from harness.data.demo.painting import Painted, Point, Shape, blend, brighten, generator, photograph

SIDE = 128
TRAIN, GOOD, EACH = 48, 15, 4
FACETS = (90, 122, 158, 166, 132, 98)  # brightness of the nut's six sides, lit from the upper left
TRAIN_COLUMNS, TEST_COLUMNS = (0, 304), (312, 512)


def paint(category: str, settings: Mapping[str, Any]) -> Iterator[Painted]:
    """Yield the images of one category; `settings` names its photograph and tint, or neither for the nut."""
    draw = _texture(settings) if "photograph" in settings else _nut
    for index in range(TRAIN):
        rng = generator("textures", category, "train", index)
        yield Painted("train", f"train/good/{index:03}.png", "good", False, draw("train", rng))
    for index in range(GOOD):
        rng = generator("textures", category, "good", index)
        yield Painted("test", f"test/good/{index:03}.png", "good", False, draw("test", rng))
    for kind, defect in KINDS.items():
        for index in range(EACH):
            rng = generator("textures", category, kind, index)
            pixels = draw("test", rng)
            pixels, mask = defect(pixels, _place("photograph" in settings, rng), rng)
            yield Painted("test", f"test/{kind}/{index:03}.png", kind, True, pixels, mask)


def _place(anywhere: bool, rng: np.random.Generator) -> Point:
    """Return a defect's centre: anywhere on a texture, on the metal of the nut and not in its bore."""
    if anywhere:
        across, down = rng.uniform(30, SIDE - 30, 2)
        return float(across), float(down)
    angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(28, 36)
    return SIDE / 2 + radius * math.cos(angle), SIDE / 2 + radius * math.sin(angle)


def _texture(settings: Mapping[str, Any]) -> Callable[[str, np.random.Generator], np.ndarray]:
    """Return a function that cuts a random square; training and test squares come from different columns."""
    source = np.asarray(photograph(settings["photograph"]).convert("L"), np.int64)[..., None]
    tinted = np.minimum(source * np.array(settings["tint"]) // 100, 255).astype(np.uint8)

    def cut_out(split: str, rng: np.random.Generator) -> np.ndarray:
        first, last = TRAIN_COLUMNS if split == "train" else TEST_COLUMNS
        left = int(rng.integers(first, last - SIDE + 1))
        top = int(rng.integers(0, tinted.shape[0] - SIDE + 1))
        return brighten(tinted[top : top + SIDE, left : left + SIDE], int(rng.integers(94, 107)))

    return cut_out


def _nut(_: str, rng: np.random.Generator) -> np.ndarray:
    """Paint a hexagonal nut from above, a little turned and shifted, on a grey table."""
    size, middle = (SIDE, SIDE), [float(v) for v in SIDE / 2 + rng.uniform(-3, 3, 2)]
    centre, turn, radius = (middle[0], middle[1]), rng.uniform(-0.12, 0.12), rng.uniform(45, 48)

    def hexagon(r: float) -> list[tuple[float, float]]:
        angles = [turn + math.pi * k / 3 for k in range(6)]
        return [(centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for a in angles]

    grain = rng.integers(-7, 8, (SIDE, SIDE, 1))
    pixels = np.clip(np.array([104, 106, 110]) + grain, 0, 255).astype(np.uint8)
    shadow = Shape(size).polygon([(x + 4, y + 5) for x, y in hexagon(radius)])
    pixels = blend(pixels, (30, 30, 34), shadow.opacity(blur=3), 150)
    corners = hexagon(radius)
    for tone, first, second in zip(FACETS, corners, corners[1:] + corners[:1], strict=True):
        pixels = blend(pixels, (tone, tone, tone + 6), Shape(size).polygon([centre, first, second]).opacity())
    pixels = blend(pixels, (196, 196, 202), Shape(size).ellipse(centre, (radius * 0.8, radius * 0.8)).opacity())
    for number, tone in enumerate((70, 150, 62, 140, 20)):
        r = radius * (0.46 - 0.035 * number)
        pixels = blend(pixels, (tone, tone, tone + 4), Shape(size).ellipse(centre, (r, r)).opacity())
    noise = rng.integers(-5, 6, (SIDE, SIDE, 1))
    return brighten(np.clip(pixels + noise, 0, 255).astype(np.uint8), int(rng.integers(94, 107)))
