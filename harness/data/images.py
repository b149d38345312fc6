"""Decoding images and masks to small uint8 arrays; every refusal names the file and the remedy."""

from __future__ import annotations

import hashlib
import io
import struct
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from harness.errors import DataError

Image.init()  # plug-ins must not be registered by several threads at once
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
MOST_PIXELS = 100_000_000
RESAMPLING = "lanczos"
EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"})
BITS_PER_SAMPLE = 258  # TIFF tag
# what Pillow's decoders and its reading of EXIF data raise on damaged bytes
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, TypeError, LookupError, ArithmeticError)


def is_image(path: Path) -> bool:
    """Tell whether `path` looks like an image; hidden files (such as macOS's `._x.png`) do not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def image_files(folder: Path) -> list[Path]:
    """Return the images in `folder`, sorted by name. Raises DataError when two have one stem: they share their id."""
    try:
        paths = sorted(path for path in folder.iterdir() if is_image(path))
    except OSError as error:
        raise DataError(f"{folder}: cannot be listed ({error.strerror}); add it or change its rights") from error
    for stem, number in Counter(path.stem for path in paths).items():
        if number > 1:
            raise DataError(f"{folder / stem}.*: two images have this name; remove one of them")
    return paths


def read_image(path: Path, size: int, channels: int, pad: int = 0) -> tuple[np.ndarray, str, tuple[int, int]]:
    """Return pixels uint8 (size,size,channels), the file's SHA-256 and the upright image's (width, height).

    `pad` adds so many black pixels on every side before the resizing.
    """
    data = _bytes(path)
    image = _open(path, data)
    if image.mode not in EIGHT_BIT or _sixteen_bits(image, data):
        raise DataError(f"{path}: {_mode_name(image, data)} image; convert it to 8-bit grey or RGB")
    image = _upright(path, image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = _opaque(path, image.convert("RGBA"))
    image = image.convert("L" if channels == 1 else "RGB")
    return fit(ImageOps.expand(image, pad) if pad else image, size), _digest(data), image.size


def read_mask(path: Path, size: int, expected: tuple[int, int] | None, share: float = 0.5) -> tuple[np.ndarray, str]:
    """Return a mask uint8 {0,1} (size,size) and the file's SHA-256.

    A pixel is anomalous if its value is more than `share` of the mask's largest; in a palette image, if its colour is
    not black. Raises DataError when the mask does not have the `expected` (width, height) of its image.
    """
    data = _bytes(path)
    image = _upright(path, _open(path, data))
    if expected is not None and image.size != expected:
        raise DataError(
            f"{path}: the mask is {image.width}×{image.height}, its image {expected[0]}×{expected[1]}; "
            "a mask needs the size of its image"
        )
    return shrink_mask(_binary(image, share), size), _digest(data)


def _binary(image: Image.Image, share: float) -> np.ndarray:
    if image.mode in {"P", "PA"}:
        return np.asarray(np.asarray(image.convert("RGB")).any(axis=-1))
    if len(image.getbands()) > 1:
        image = image.convert("RGB").convert("L")
    values = np.asarray(image)
    return np.asarray(values > float(values.max()) * share)


def shrink_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Resize a boolean mask (H,W) to uint8 {0,1} (size,size), nearest neighbour: it stays binary."""
    image = Image.fromarray(mask.astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.NEAREST))


def fit(image: Image.Image, size: int) -> np.ndarray:
    """Resize to (size,size,C) uint8 with Lanczos, whose support grows with the reduction (antialiased)."""
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from error


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _open(path: Path, data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        image.load()
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MOST_PIXELS} pixels; make the image smaller") from error
    except DAMAGED as error:
        reason = "no image" if isinstance(error, UnidentifiedImageError) else str(error).split("\n")[0]
        raise DataError(f"{path}: truncated or damaged image ({reason}); restore it from its archive") from error
    return image


def _upright(path: Path, image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF orientation says, which is how every viewer shows it."""
    if image.format not in {"JPEG", "TIFF", "WEBP"} and "exif" not in image.info:
        return image
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED as error:
        raise DataError(f"{path}: damaged EXIF data; save the image again without it") from error


def _opaque(path: Path, image: Image.Image) -> Image.Image:
    if np.asarray(image.getchannel("A")).min() < 255:
        raise DataError(f"{path}: the image is partly transparent; save it on an opaque background")
    return image


def _sixteen_bits(image: Image.Image, data: bytes) -> bool:
    """Pillow halves 16-bit colour PNGs and TIFFs silently; their headers tell (PNG: byte 24)."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))) > 8
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[24:25] == b"\x10"


def _mode_name(image: Image.Image, data: bytes) -> str:
    if _sixteen_bits(image, data) or image.mode.startswith("I;16"):
        return "16-bit"
    return image.mode
