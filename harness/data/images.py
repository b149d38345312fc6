"""Decoding images to small uint8 arrays; every refusal names the file and the remedy."""

from __future__ import annotations

import hashlib
import io
import struct
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from harness.data.files import walk
from harness.errors import DataError

Image.init()  # plug-ins must not be registered by several threads at once
# Formats that Pillow lists but does not decode by itself, or that are no pictures of things.
_OTHER = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "PDF", "WMF"})
SUFFIXES = frozenset(
    suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN and kind not in _OTHER
)
_SEVERAL = frozenset({"AVIF", "DCX", "FLI", "GIF", "PNG", "TIFF", "WEBP"})  # may hold several images of equal rank
MOST_PIXELS = 100_000_000
RESAMPLING = "lanczos"
EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"})
SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
WHITE = 65535  # of 16-bit grey images, unless the dataset's `white_level` says otherwise
BITS_PER_SAMPLE = 258  # TIFF tag
# what Pillow's decoders and its reading of EXIF data raise on damaged bytes
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, struct.error, TypeError, LookupError, ArithmeticError)


class Picture(NamedTuple):
    """One image as read: pixels uint8 (size,size,channels), the file's SHA-256, and the upright (width, height).

    `dark`: a 16-bit image whose brightest pixel is below an eighth of white.
    """

    pixels: np.ndarray
    digest: str
    shape: tuple[int, int]
    dark: bool = False


def is_image(path: Path) -> bool:
    """Tell whether `path` looks like an image that Pillow reads; hidden files do not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def image_files(folder: Path) -> list[Path]:
    """Return the images below `folder`, sorted. Raises DataError when two have one stem: they share their id."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; add it")
    paths = sorted(path for path in (Path(entry.path) for entry in walk(folder)) if is_image(path))
    for stem, number in Counter(path.with_suffix("") for path in paths).items():
        if number > 1:
            raise DataError(f"{stem}.*: two images have this name; remove one of them")
    return paths


def read_image(path: Path, size: int, channels: int, pad: int = 0, white: int = WHITE) -> Picture:
    """Read one image.

    `pad` adds so many black pixels on every side before the resizing; `white` is the value of 16-bit grey images that
    becomes 255.
    """
    data = read_bytes(path)
    image, dark = open_image(path, data), False
    if image.mode in SIXTEEN_BIT or (image.mode == "I" and image.format in {"PNG", "PPM"}):
        image, dark = _eight_bits(image, white)
    elif image.mode not in EIGHT_BIT or sixteen_bits(image, data):
        raise DataError(f"{path}: {_mode_name(image, data)} image; convert it to 8-bit RGB, or to 8- or 16-bit grey")
    image = upright(path, image)
    if "A" in image.getbands() or "transparency" in image.info:
        image = _opaque(path, image.convert("RGBA"))
    image = image.convert("L" if channels == 1 else "RGB")
    return Picture(fit(ImageOps.expand(image, pad) if pad else image, size), bytes_digest(data), image.size, dark)


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


def read_bytes(path: Path) -> bytes:
    """Return a file's content. Raises DataError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from error


def bytes_digest(data: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(data).hexdigest()


def open_image(path: Path, data: bytes) -> Image.Image:
    """Decode the bytes of `path`. Raises DataError when they are damaged, too large or several images."""
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MOST_PIXELS:
            raise Image.DecompressionBombError
        number = int(getattr(image, "n_frames", 1)) if image.format in _SEVERAL else 1
        image.load()
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: more than {MOST_PIXELS} pixels; make the image smaller") from error
    except DAMAGED as error:
        reason = "no image" if isinstance(error, UnidentifiedImageError) else str(error).split("\n")[0]
        raise DataError(f"{path}: truncated or damaged image ({reason}); restore it from its archive") from error
    if number > 1:
        raise DataError(f"{path}: {number} images in one file; save each as a file of its own")
    return image


def upright(path: Path, image: Image.Image) -> Image.Image:
    """Turn the image as its EXIF orientation says, which is how every viewer shows it."""
    if image.format not in {"JPEG", "MPO", "TIFF", "WEBP"} and "exif" not in image.info:
        return image
    try:
        return ImageOps.exif_transpose(image)
    except DAMAGED as error:
        raise DataError(f"{path}: damaged EXIF data; save the image again without it") from error


def _eight_bits(image: Image.Image, white: int) -> tuple[Image.Image, bool]:
    """Scale 16-bit grey so that `white` becomes 255; tell whether all of it is dark."""
    values = np.asarray(image).astype(np.float64)
    scaled = Image.fromarray(np.clip(np.rint(values * (255 / white)), 0, 255).astype(np.uint8))
    scaled.info = image.info
    return scaled, bool(values.max() < white / 8)


def _opaque(path: Path, image: Image.Image) -> Image.Image:
    if np.asarray(image.getchannel("A")).min() < 255:
        raise DataError(f"{path}: the image is partly transparent; save it on an opaque background")
    return image


def sixteen_bits(image: Image.Image, data: bytes) -> bool:
    """Tell by the header: Pillow halves 16-bit colour PNGs and TIFFs silently (PNG: byte 24)."""
    if isinstance(image, TiffImageFile):
        return max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))) > 8
    return data[:8] == b"\x89PNG\r\n\x1a\n" and data[24:25] == b"\x10"


def _mode_name(image: Image.Image, data: bytes) -> str:
    return "16-bit colour" if sixteen_bits(image, data) and len(image.getbands()) > 1 else image.mode
