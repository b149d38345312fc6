"""Painted squares with walkers, seen by a fixed camera; what is no walker is the anomaly: mSTC's stand-in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from harness.data.demo.painting import FINE, Colour, Painted, generator

SIDE, EVERY = 128, 5
TRAIN_CLIPS, TEST_CLIPS, FRAMES = 4, 3, 75
KINDS = ("bicycle", "cart", "boxes")
GROUND: tuple[Colour, ...] = ((172, 166, 154), (140, 150, 138), (160, 148, 140))
WALL: tuple[Colour, ...] = ((124, 84, 70), (96, 108, 122), (188, 176, 150))
CLOTHES: tuple[Colour, ...] = ((58, 66, 96), (120, 44, 46), (70, 96, 66), (150, 130, 90), (46, 46, 52), (176, 176, 182))
SKIN: Colour = (206, 164, 132)


@dataclass(frozen=True)
class Mover:
    """Something that crosses the square: foot point at frame 0, pixels per frame, colour, stride."""

    x: float
    y: float
    speed: float
    colour: Colour
    stride: int

    def at(self, frame: int) -> tuple[float, float, float]:
        """Return foot point and scale at a frame; what is lower in the picture is nearer and larger."""
        return self.x + self.speed * frame, self.y, 0.45 + 0.75 * (self.y - 52) / 76


class Canvas:
    """Draws in pixel coordinates on a picture that is FINE times larger, and on the mask of the anomaly."""

    def __init__(self, background: Image.Image) -> None:
        self.picture, self.mask = background.copy(), Image.new("L", background.size)
        self._pens = [(ImageDraw.Draw(self.picture), False), (ImageDraw.Draw(self.mask), True)]
        self.marking = False

    def _each(self, shape: str, points: list[tuple[float, float]], colour: Colour, **how: Any) -> None:
        fine = [(round(x * FINE), round(y * FINE)) for x, y in points]
        for pen, is_mask in self._pens:
            if self.marking or not is_mask:
                getattr(pen, shape)(fine, fill=255 if is_mask else colour, **how)

    def ellipse(self, x: float, y: float, a: float, b: float, colour: Colour) -> None:
        """Fill an ellipse around (x, y)."""
        self._each("ellipse", [(x - a, y - b), (x + a, y + b)], colour)

    def box(self, x: float, y: float, a: float, b: float, colour: Colour) -> None:
        """Fill a rectangle around (x, y)."""
        self._each("rectangle", [(x - a, y - b), (x + a, y + b)], colour)

    def line(self, points: list[tuple[float, float]], width: float, colour: Colour) -> None:
        """Draw a line."""
        self._each("line", points, colour, width=max(1, round(width * FINE)), joint="curve")


def paint(category: str, settings: Mapping[str, Any]) -> Iterator[Painted]:
    """Yield every fifth frame of a scene's clips, with pixel masks for the test clips."""
    background = _background(int(category) - 1, generator("scenes", category))
    for clip in range(TRAIN_CLIPS):
        rng = generator("scenes", category, "train", clip)
        walkers = _walkers(rng)
        for frame in range(0, FRAMES, EVERY):
            pixels, _ = _frame(background, walkers, None, "", frame)
            yield Painted("train", f"train/{category}_{clip + 1:03}/{frame:03}.png", "normal", False, pixels)
    for clip in range(TEST_CLIPS):
        rng = generator("scenes", category, "test", clip)
        kind = KINDS[clip % len(KINDS)]
        walkers, speed = _walkers(rng), float(rng.uniform(3.0, 3.6))
        intruder = Mover(-20 - 12 * speed, float(rng.uniform(84, 112)), speed, CLOTHES[int(rng.integers(4))], 0)
        for frame in range(0, FRAMES, EVERY):
            pixels, mask = _frame(background, walkers, intruder, kind, frame)
            label = kind if mask.any() else "normal"
            name = f"test/{category}_{clip + 1:04}/{frame:03}.png"
            yield Painted("test", name, label, bool(mask.any()), pixels, mask, f"{category}_{clip + 1:04}")


def _background(number: int, rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", (SIDE * FINE, SIDE * FINE), GROUND[number % 3])
    canvas = Canvas(picture)
    canvas.box(64, 22, 64, 22, WALL[number % 3])
    for window in range(5):
        canvas.box(14 + 25 * window, 18, 7, 9, (62, 74, 88))
        canvas.line([(14 + 25 * window, 9), (14 + 25 * window, 27)], 1, (210, 210, 206))
    canvas.box(64, 46, 64, 2, (96, 94, 90))
    for row in range(8):
        y = 50 + row * (row + 5) * 0.95
        canvas.line([(0, y), (SIDE, y)], 0.6, (128, 124, 116))
    for column in range(-4, 13):
        canvas.line([(40 + column * 6, 48), (column * 24 - 32, SIDE)], 0.6, (128, 124, 116))
    if number % 3:
        canvas.box(20 + 70 * (number - 1), 52, 1.5, 26, (70, 60, 50))
        canvas.ellipse(20 + 70 * (number - 1), 30, 15, 14, (66, 104, 58))
    grain = rng.integers(-4, 5, (SIDE * FINE, SIDE * FINE, 1))
    return Image.fromarray(np.clip(np.asarray(canvas.picture, np.int64) + grain, 0, 255).astype(np.uint8))


def _walkers(rng: np.random.Generator) -> list[Mover]:
    movers = []
    for _ in range(int(rng.integers(3, 6))):
        speed = float(rng.uniform(0.5, 1.0)) * (1 if rng.random() < 0.5 else -1)
        start = float(rng.uniform(0, SIDE)) - speed * FRAMES / 2
        movers.append(Mover(start, float(rng.uniform(60, 122)), speed, CLOTHES[int(rng.integers(len(CLOTHES)))],
                            int(rng.integers(8))))  # fmt: skip
    return movers


def _frame(
    background: Image.Image, walkers: list[Mover], intruder: Mover | None, kind: str, frame: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one frame, the farthest first; return pixels (H,W,3) and the visible part of the anomaly (H,W)."""
    canvas = Canvas(background)
    movers = sorted([*walkers, *([intruder] if intruder else [])], key=lambda mover: mover.y)
    for mover in movers:
        canvas.marking = mover is intruder
        if mover is intruder:
            DRAW[kind](canvas, mover, frame)
        else:
            _erase_mask_under(canvas, mover, frame)
            _walker(canvas, mover, frame)
    return np.asarray(canvas.picture.reduce(FINE)), np.asarray(canvas.mask.reduce(FINE)) >= 128


def _erase_mask_under(canvas: Canvas, mover: Mover, frame: int) -> None:
    """What a nearer walker hides is not visible, so it is not in the mask."""
    hidden = Canvas(Image.new("RGB", canvas.picture.size))
    hidden.marking = True
    _walker(hidden, mover, frame)
    canvas.mask.paste(0, mask=hidden.mask)


def _walker(canvas: Canvas, mover: Mover, frame: int) -> None:
    x, y, s = mover.at(frame)
    swing = (0, 2, 3, 2, 0, -2, -3, -2)[(frame + mover.stride) % 8] * s
    canvas.line([(x, y - 11 * s), (x + swing, y)], 2.6 * s, (38, 38, 46))
    canvas.line([(x, y - 11 * s), (x - swing, y)], 2.6 * s, (50, 50, 58))
    canvas.ellipse(x, y - 16 * s, 3.6 * s, 7 * s, mover.colour)
    canvas.ellipse(x, y - 25 * s, 2.4 * s, 2.8 * s, SKIN)


def _bicycle(canvas: Canvas, mover: Mover, frame: int) -> None:
    x, y, s = mover.at(frame)
    for side in (-9, 9):
        canvas.ellipse(x + side * s, y - 6 * s, 6 * s, 6 * s, (24, 24, 26))
        canvas.ellipse(x + side * s, y - 6 * s, 4.6 * s, 4.6 * s, (150, 148, 142))
    frame_points = [(x - 9 * s, y - 6 * s), (x - 2 * s, y - 14 * s), (x + 7 * s, y - 14 * s), (x + 9 * s, y - 6 * s)]
    canvas.line(frame_points, 1.8 * s, (190, 40, 36))
    canvas.line([(x - 2 * s, y - 15 * s), (x + s, y - 6 * s)], 2.6 * s, (38, 38, 46))
    canvas.line([(x - 2 * s, y - 16 * s), (x + 3 * s, y - 26 * s)], 6 * s, mover.colour)
    canvas.ellipse(x + 5 * s, y - 31 * s, 2.6 * s, 3 * s, SKIN)


def _cart(canvas: Canvas, mover: Mover, frame: int) -> None:
    x, y, s = mover.at(frame)
    canvas.box(x, y - 11 * s, 15 * s, 7 * s, (214, 176, 52))
    canvas.box(x + 8 * s, y - 21 * s, 7 * s, 5 * s, (60, 84, 110))
    canvas.line([(x - 15 * s, y - 18 * s), (x + 15 * s, y - 18 * s)], 1.6 * s, (120, 96, 30))
    for side in (-9, 9):
        canvas.ellipse(x + side * s, y - 4 * s, 4.4 * s, 4.4 * s, (26, 26, 28))


def _boxes(canvas: Canvas, mover: Mover, frame: int) -> None:
    x, y, s = mover.at(frame)
    for left, up, colour in ((-6, 5, (150, 108, 62)), (5, 5, (172, 128, 78)), (0, 15, (134, 92, 52))):
        canvas.box(x + left * s, y - up * s, 5.5 * s, 5 * s, colour)
        canvas.line([(x + (left - 5) * s, y - up * s), (x + (left + 5) * s, y - up * s)], 1.2 * s, (222, 206, 168))


DRAW = {"bicycle": _bicycle, "cart": _cart, "boxes": _boxes}
