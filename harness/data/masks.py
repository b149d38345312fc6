"""What a mask may be, and which of its pixels are anomalous. Nothing is guessed: the rest is refused or said.

Two levels, the lower one 0; colours or a palette on a black background; opaque pixels of a transparent picture. An
entry's `mask_values` may say more: `ids` (every value but 0 is a defect), `half` (what is above half of the maximum).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from harness.data.images import bytes_digest, open_image, read_bytes, shrink_mask, sixteen_bits, upright
from harness.errors import DataError

LEVELS, IDS, HALF = "levels", "ids", "half"
FEW = 16  # so many values, or fewer, are levels; more are shades
FAINT = 16  # of 255: the maximum of a lossy mask that is no more than noise
LOSSY = frozenset({"JPEG", "MPO", "WEBP", "AVIF", "JPEG2000"})
GREY = frozenset({"1", "L", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"})
SOFT = "masks with soft edges, of which what is above half of the maximum counts (`mask_values: half` says so)"
NEARLY_ALL = "masks that mark more than nine tenths of their image"
INVERTED = "masks that mark their border and more than half of their image, as if inverted"


class Mask(NamedTuple):
    """One mask as read: uint8 {0,1} (size,size), the file's SHA-256, whether anything is marked before the resizing.

    `remarks` say what of it a reader should look at.
    """

    pixels: np.ndarray
    digest: str
    marked: bool
    remarks: tuple[str, ...] = ()


def read_mask(path: Path, size: int, expected: tuple[int, int] | None, values: str = LEVELS, pad: int = 0) -> Mask:
    """Read one mask; `pad` adds so many unmarked pixels on every side before the resizing, as to its image.

    Raises DataError when it does not have the `expected` (width, height) of its image, or when its values leave open
    what is marked.
    """
    image, data = _open(path, expected)
    marked, remarks = _Reading(path, image, data, values).marked()
    if marked.mean() > 0.9:
        remarks.append(NEARLY_ALL)
    elif marked.mean() > 0.5 and _border(marked).mean() > 0.9:
        remarks.append(INVERTED)
    return Mask(shrink_mask(np.pad(marked, pad), size), bytes_digest(data), bool(marked.any()), tuple(remarks))


def read_map(path: Path, size: int, expected: tuple[int, int] | None, share: float, pad: int = 0) -> Mask:
    """Read a map of many levels, such as attention; marked is what is above `share` of its maximum."""
    image, data = _open(path, expected)
    values = np.asarray(image.convert("L"))
    marked = np.asarray(values > float(values.max()) * share)
    remarks = () if values.max() > FAINT or not marked.any() else (f"maps whose maximum is below {FAINT + 1} of 255",)
    return Mask(shrink_mask(np.pad(marked, pad), size), bytes_digest(data), bool(marked.any()), remarks)


def _open(path: Path, expected: tuple[int, int] | None) -> tuple[Image.Image, bytes]:
    data = read_bytes(path)
    opened = open_image(path, data)
    image = upright(path, opened)
    image.format = opened.format
    if expected is not None and image.size != expected:
        raise DataError(
            f"{path}: the mask is {image.width}×{image.height}, its image {expected[0]}×{expected[1]}; "
            "a mask needs the size of its image"
        )
    if len(image.getbands()) > 1 and sixteen_bits(opened, data):
        raise DataError(f"{path}: a 16-bit colour mask; save it as grey")
    return image, data


def _border(marked: np.ndarray) -> np.ndarray:
    return np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])


class _Reading:
    """Decides which pixels of one mask are anomalous."""

    def __init__(self, path: Path, image: Image.Image, data: bytes, values: str) -> None:
        self.path, self.image, self.values = path, image, values
        self.lossy = image.format in LOSSY
        self.remarks: list[str] = []

    def marked(self) -> tuple[np.ndarray, list[str]]:
        image = self.image
        if "A" in image.getbands() or "transparency" in image.info:
            found = self._transparent(np.asarray(image.convert("RGBA")))
        elif image.mode == "P":
            ids = self.values == IDS
            found = np.asarray(image) != 0 if ids else self._colours(np.asarray(image.convert("RGB")), palette=True)
        elif image.mode in GREY:
            found = self._levels(np.asarray(image))
        elif image.mode in {"RGB", "RGBX", "YCbCr"}:
            found = self._colours(np.asarray(image.convert("RGB")))
        else:
            raise DataError(f"{self.path}: a {image.mode} mask; save it as grey")
        return found, self.remarks

    def _transparent(self, pixels: np.ndarray) -> np.ndarray:
        """Transparent pixels are background; so are black ones among opaque pixels of several colours."""
        alpha, colours = pixels[..., 3], pixels[..., :3]
        if alpha.min() == alpha.max():
            if not alpha.any():
                raise DataError(f"{self.path}: a wholly transparent mask; save it without transparency")
            return self._colours(colours)
        opaque = self._levels(alpha)
        inside = colours[opaque]
        if (inside == inside[0]).all():
            return opaque
        return opaque & self._colours(np.where(opaque[..., None], colours, 0).astype(np.uint8))

    def _colours(self, pixels: np.ndarray, palette: bool = False) -> np.ndarray:
        brightest = pixels.max(axis=-1)
        if not palette and (pixels == pixels[..., :1]).all():
            return self._levels(brightest)
        if self.values == IDS:
            return brightest > 0
        found = np.unique(pixels.reshape(-1, 3) @ np.array([1 << 16, 1 << 8, 1]))
        if self.values == HALF or self.lossy or len(found) > FEW:
            return self._levels(brightest)
        if len(found) > 1 and found[0] != 0:
            self._refuse(f"{len(found)} colours and no black background", "make the background black")
        return brightest > 0

    def _levels(self, values: np.ndarray) -> np.ndarray:
        if not np.isfinite(values).all() or values.min() < 0:
            self._refuse("values that are negative or no numbers", "save it with 0 and 255")
        levels = np.unique(values)
        half = np.asarray(values > float(levels[-1]) / 2)
        if self.values == IDS:
            return np.asarray(values != 0)
        if self.values == HALF or len(levels) == 1 or (len(levels) == 2 and not levels[0]):
            return half
        if len(levels) <= FEW and not self.lossy:
            named = ", ".join(f"{level:g}" for level in levels)
            remedy = (
                "write `mask_values: ids` if each but 0 is a defect, or `half` for what is above half of the maximum"
            )
            self._refuse(f"the values {named}", remedy)
        if self.lossy and levels[-1] < FAINT:
            self._refuse(f"no value above {levels[-1]:g} of 255, which may be noise", "save it as PNG with 0 and 255")
        between = (values > levels[-1] / 4) & (values < levels[-1] * 0.75)
        if between.sum() >= half.sum():
            remedy = "write `mask_values: half` if what is above half of the maximum is the defect"
            self._refuse(f"{len(levels)} shades, most of them neither dark nor bright", remedy)
        if not self.lossy:
            self.remarks.append(SOFT)
        return half

    def _refuse(self, what: str, remedy: str) -> None:
        raise DataError(f"{self.path}: a mask with {what}; {remedy}")
