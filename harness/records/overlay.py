"""Pixels of a figure: images, masks in white, anomaly maps laid over the image in red. numpy and Pillow only."""

from __future__ import annotations

import numpy as np
from PIL import Image

from harness.training.maps import MapsReader

RED = np.array([230.0, 20.0, 30.0])
GREEN = np.array([40, 220, 120], np.uint8)
STRONGEST = 0.75
"""The share of red where a map is strongest: the image stays visible below."""
LOWEST, HIGHEST = 50.0, 99.5
"""Percentiles of a method's maps of one category between which the red grows from nothing to its strongest."""
SAMPLED_IMAGES, SAMPLED_PIXELS = 64, 4


def strength_range(reader: MapsReader) -> tuple[float, float]:
    """Return the two ends of the red's scale, as codes: percentiles over at most 64 maps and every fourth pixel."""
    count = len(reader.test_index)
    index = np.unique(np.linspace(0, count - 1, min(count, SAMPLED_IMAGES)).round().astype(int))
    codes = reader.maps(list(index))[:, ::SAMPLED_PIXELS, ::SAMPLED_PIXELS]
    low, high = np.percentile(codes, [LOWEST, HIGHEST])
    return float(low), float(max(high, low + 1))


def colour(image: np.ndarray, side: int) -> np.ndarray:
    """Return a prepared image uint8 (H,W,C) as uint8 (side,side,3)."""
    pixels = image if image.shape[-1] == 3 else np.repeat(image[..., :1], 3, axis=-1)
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.BICUBIC))


def mask(truth: np.ndarray, side: int) -> np.ndarray:
    """Return a mask {0,1} (H,W) as white on black, uint8 (side,side,3)."""
    grey = Image.fromarray(np.asarray(truth, np.uint8) * 255).resize((side, side), Image.Resampling.NEAREST)
    return np.repeat(np.asarray(grey)[..., None], 3, axis=-1)


def overlay(
    image: np.ndarray, codes: np.ndarray, scale: tuple[float, float], threshold: int | None, side: int
) -> np.ndarray:
    """Return the image with its map in red, and a thin line where the map passes the threshold.

    Args:
        image: uint8 (H,W,C).
        codes: uint16 (H,W), the map's codes.
        scale: codes where the red begins and where it is strongest.
        threshold: smallest code that counts as anomalous; None draws no line.
        side: pixels of the result, uint8 (side,side,3).
    """
    large = np.asarray(Image.fromarray(codes.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR))
    strength = STRONGEST * np.clip((large - scale[0]) / (scale[1] - scale[0]), 0, 1)[..., None]
    shown = colour(image, side) * (1 - strength) + RED * strength
    if threshold is not None:
        shown[outline(large >= threshold)] = 255
    return shown.round().astype(np.uint8)


def outline(region: np.ndarray) -> np.ndarray:
    """Return the pixels of a region, bool (H,W), that touch its outside."""
    padded = np.pad(region, 1, mode="edge")
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return region & ~inner
