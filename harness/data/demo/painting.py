"""Painting with Pillow's integer drawing, so that a seed gives the same bytes on every machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from harness.data.draws import named_generator
from harness.errors import DataError

SEED = 2020
FINE = 4  # shapes are drawn this many times larger and then reduced, which smooths their edges
Point = tuple[float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Painted:
    """One embedded image: its place in the dataset, pixels uint8 (H,W,3), mask bool (H,W) or None, and its video."""

    split: str
    name: str
    label: str
    anomalous: bool
    pixels: np.ndarray
    mask: np.ndarray | None = None
    clip: str = ""


def generator(*names: str | int) -> np.random.Generator:
    """Return the random generator of one embedded image or category."""
    return named_generator(SEED, *names)


def photograph(name: str) -> Image.Image:
    """Return a photograph that scikit-image or scikit-learn bring along; nothing is downloaded."""
    folders = [package_folder("skimage") / "data", package_folder("sklearn") / "datasets" / "images"]
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise DataError(f"{name}: neither scikit-image nor scikit-learn bring this photograph; reinstall them")
    with Image.open(path) as image:
        image.load()
        return image


def package_folder(name: str) -> Path:
    """Return an installed package's folder, without the seconds that importing it takes."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise DataError(f"the package {name} is not installed; `make demo` installs it")
    return Path(spec.origin).parent


class Shape:
    """A grey canvas on which shapes are drawn in white; its soft edges serve as opacity, its core as mask."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._image = Image.new("L", (size[0] * FINE, size[1] * FINE))
        self._draw = ImageDraw.Draw(self._image)

    @staticmethod
    def _fine(points: Sequence[Point]) -> list[tuple[int, int]]:
        return [(round(x * FINE), round(y * FINE)) for x, y in points]

    def polygon(self, points: Sequence[Point], fill: int = 255) -> Shape:
        """Fill a polygon."""
        self._draw.polygon(self._fine(points), fill=fill)
        return self

    def ellipse(self, centre: Point, radii: Point, fill: int = 255) -> Shape:
        """Fill an axis-parallel ellipse."""
        (x, y), (a, b) = centre, radii
        first, last = self._fine([(x - a, y - b), (x + a, y + b)])
        self._draw.ellipse([first, last], fill=fill)
        return self

    def line(self, points: Sequence[Point], width: float, fill: int = 255) -> Shape:
        """Draw a line with rounded joints and ends."""
        fine, thick = self._fine(points), max(1, round(width * FINE))
        self._draw.line(fine, fill=fill, width=thick, joint="curve")
        for x, y in (fine[0], fine[-1]):
            self._draw.ellipse([x - thick // 2, y - thick // 2, x + thick // 2, y + thick // 2], fill=fill)
        return self

    def opacity(self, blur: int = 0) -> np.ndarray:
        """Return uint8 (H,W): 255 inside, 0 outside, in between on the edge; `blur` is a box radius in pixels."""
        image = self._image.reduce(FINE)
        return np.asarray(image.filter(ImageFilter.BoxBlur(blur)) if blur else image)

    def mask(self) -> np.ndarray:
        """Return bool (H,W): pixels covered by half or more."""
        return self.opacity() >= 128


def blend(pixels: np.ndarray, colour: Colour | np.ndarray, opacity: np.ndarray, strength: int = 255) -> np.ndarray:
    """Lay `colour` over uint8 pixels (H,W,3) with `opacity` uint8 (H,W), weakened to `strength` of 255."""
    weight = (opacity.astype(np.int32) * strength)[..., None]
    over = np.broadcast_to(np.asarray(colour, np.int32), pixels.shape)
    return ((pixels.astype(np.int32) * (255 * 255 - weight) + over * weight + 32512) // (255 * 255)).astype(np.uint8)


def brighten(pixels: np.ndarray, percent: int) -> np.ndarray:
    """Scale uint8 pixels by `percent`."""
    return np.minimum(pixels.astype(np.int64) * percent // 100, 255).astype(np.uint8)


def curve(points: Sequence[Point], steps: int = 24) -> list[Point]:
    """Return points on the Bézier curve with these control points."""
    result = []
    for step in range(steps + 1):
        level, t = [(float(x), float(y)) for x, y in points], step / steps
        while len(level) > 1:
            level = [(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])) for a, b in pairwise(level)]
        result.append(level[0])
    return result
