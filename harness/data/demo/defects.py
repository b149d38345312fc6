"""Five kinds of painted defects with exact masks: cut, stain, hole, scratch, thread."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.data.demo.painting import Colour, Point, Shape, blend, curve

Result = tuple[np.ndarray, np.ndarray]
THREADS: tuple[Colour, ...] = ((196, 34, 40), (36, 70, 190), (240, 238, 230), (24, 24, 26))


def _turned(centre: Point, points: list[Point], angle: float) -> list[Point]:
    cos, sin = math.cos(angle), math.sin(angle)
    return [(centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos) for x, y in points]


def cut(pixels: np.ndarray, centre: Point, rng: np.random.Generator) -> Result:
    """A slit that gapes: dark inside, one bright lip."""
    length, width, angle = rng.uniform(20, 36), rng.uniform(3.0, 5.0), rng.uniform(0, math.pi)
    bow = rng.uniform(-6, 6)
    upper = curve([(-length, 0), (0, bow - 2 * width), (length, 0)])
    lower = curve([(length, 0), (0, bow + 2 * width), (-length, 0)])
    size = (pixels.shape[1], pixels.shape[0])
    slit = Shape(size).polygon(_turned(centre, upper + lower, angle))
    lip = Shape(size).line(_turned(centre, upper, angle), 2.0)
    pixels = blend(pixels, (235, 230, 220), lip.opacity(), 150)
    return blend(pixels, (18, 16, 16), slit.opacity(), 235), slit.mask() | lip.mask()


def stain(pixels: np.ndarray, centre: Point, rng: np.random.Generator) -> Result:
    """A spilled liquid: an uneven blob that darkens and tints what is under it."""
    radius, corners = rng.uniform(13, 24), 14
    reach = radius * rng.uniform(0.72, 1.2, corners)
    angles = [2 * math.pi * k / corners for k in range(corners)]
    outline = [(centre[0] + r * math.cos(a), centre[1] + r * math.sin(a)) for r, a in zip(reach, angles, strict=True)]
    blob = Shape((pixels.shape[1], pixels.shape[0])).polygon(outline)
    colour: Colour = ((86, 52, 20), (28, 44, 86), (20, 22, 24))[int(rng.integers(3))]
    return blend(pixels, colour, blob.opacity(blur=1), int(rng.integers(130, 185))), blob.mask()


def hole(pixels: np.ndarray, centre: Point, rng: np.random.Generator) -> Result:
    """A hole: black, with a lighter rim on the lower side."""
    radii = (rng.uniform(7, 13), rng.uniform(7, 13))
    size = (pixels.shape[1], pixels.shape[0])
    rim = Shape(size).ellipse((centre[0] + 1.2, centre[1] + 1.6), (radii[0] + 1.2, radii[1] + 1.2))
    inside = Shape(size).ellipse(centre, radii)
    pixels = blend(pixels, (214, 208, 200), rim.opacity(), 170)
    return blend(pixels, (8, 8, 10), inside.opacity(), 245), inside.mask() | rim.mask()


def scratch(pixels: np.ndarray, centre: Point, rng: np.random.Generator) -> Result:
    """Two to four bright, nearly parallel lines."""
    angle, length = rng.uniform(0, math.pi), rng.uniform(18, 34)
    lines = Shape((pixels.shape[1], pixels.shape[0]))
    for number in range(int(rng.integers(2, 5))):
        shift, tilt, start = number * rng.uniform(4.5, 6.5), rng.uniform(-2, 2), rng.uniform(-8, 8)
        lines.line(_turned(centre, [(start - length, shift - tilt), (start + length, shift + tilt)], angle), 2.2)
    return blend(pixels, (248, 246, 240), lines.opacity(), 215), lines.mask()


def thread(pixels: np.ndarray, centre: Point, rng: np.random.Generator) -> Result:
    """A coloured thread that lies loosely on the surface and throws a shadow."""
    around = [(centre[0] + float(x), centre[1] + float(y)) for x, y in rng.uniform(-42, 42, (5, 2))]
    path, width = curve(around, 40), rng.uniform(2.8, 4.0)
    size = (pixels.shape[1], pixels.shape[0])
    shadow = Shape(size).line([(x + 2, y + 2.5) for x, y in path], width)
    strand = Shape(size).line(path, width)
    shine = Shape(size).line([(x - 0.6, y - 0.6) for x, y in path], width / 3)
    pixels = blend(pixels, (0, 0, 0), shadow.opacity(blur=1), 90)
    pixels = blend(pixels, THREADS[int(rng.integers(len(THREADS)))], strand.opacity())
    return blend(pixels, (255, 255, 255), shine.opacity(), 70), strand.mask()


KINDS: dict[str, Callable[[np.ndarray, Point, np.random.Generator], Result]] = {
    "cut": cut,
    "hole": hole,
    "scratch": scratch,
    "stain": stain,
    "thread": thread,
}
