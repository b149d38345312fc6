"""The MVTec AD layout: train/good, test/good, test/<defect>, ground_truth/<defect>/<stem>_mask.png."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.files import subfolders
from harness.data.images import image_files, read_image, read_mask
from harness.errors import DataError

GOOD = "good"


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return the category's folder at or below `base`, or None."""
    candidates = [base / category, base] if len(entry["categories"]) == 1 else [base / category]
    return next((folder for folder in candidates if (folder / "train").is_dir()), None)


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """List the images of one category. Raises DataError on a missing, doubled or stray image or mask."""
    if not (folder / "train" / GOOD).is_dir() or not (folder / "test").is_dir():
        raise DataError(f"{folder}: expected the folders train/{GOOD} and test; docs/own_data.md shows the layout")
    has_masks = bool(entry.get("masks", True))
    chunks = [pair_chunk(path, Row("train", f"train/{GOOD}/{path.name}", GOOD, False), None)
              for path in image_files(folder / "train" / GOOD)]  # fmt: skip
    for defect in subfolders(folder / "test"):
        images = image_files(defect)
        anomalous = defect.name != GOOD
        masks = _masks(folder / "ground_truth" / defect.name, images) if anomalous and has_masks else {}
        for path in images:
            row = Row("test", f"test/{defect.name}/{path.name}", defect.name, anomalous)
            chunks.append(pair_chunk(path, row, masks.get(path)))
    if has_masks:
        _refuse_strays(folder)
    return Collection(chunks, has_masks)


def _refuse_strays(folder: Path) -> None:
    """Raise DataError for the masks of a defect of which no image is there."""
    for masks in subfolders(folder / "ground_truth"):
        if masks.name != GOOD and not (folder / "test" / masks.name).is_dir() and image_files(masks):
            raise DataError(
                f"{masks}: masks without images; add the folder {folder / 'test' / masks.name}, or remove the masks"
            )


def _masks(folder: Path, images: list[Path]) -> dict[Path, Path]:
    """Pair images with masks by stem; both `000_mask.png` and `000.png` belong to `000`."""
    masks: dict[str, Path] = {}
    for path in image_files(folder) if folder.is_dir() else []:
        stem = path.stem.removesuffix("_mask")
        if stem in masks:
            raise DataError(f"{path}: a second mask for image {stem}; remove one of them")
        masks[stem] = path
    pairs = {}
    for image in images:
        if image.stem not in masks:
            raise DataError(f"{image}: no mask {folder / image.stem}_mask.png; add it, or remove the image")
        pairs[image] = masks.pop(image.stem)
    if masks:
        raise DataError(f"{min(masks.values())}: a mask without an image; add the image, or remove the mask")
    return pairs


def pair_chunk(path: Path, row: Row, mask: Path | None) -> Chunk:
    """Return the chunk of one image file and, where it has one, its mask file."""

    def read(size: int, channels: int) -> Iterator[Sample]:
        sample = read_pair(path, mask, size, channels)
        if sample.mask is not None and sample.mask.any() and not row.anomalous:
            raise DataError(f"{mask}: marks pixels of {path.name}, whose label is '{row.label}'; correct one of them")
        yield sample

    return Chunk([row], read)


def read_pair(path: Path, mask: Path | None, size: int, channels: int) -> Sample:
    """Read one image and, where it has one, its mask."""
    pixels, digest, shape = read_image(path, size, channels)
    if mask is None:
        return Sample(pixels, None, digest, warning=_shape_warning(shape))
    values, mask_digest = read_mask(mask, size, shape)
    return Sample(pixels, values, digest, mask_digest, _shape_warning(shape))


def _shape_warning(shape: tuple[int, int]) -> str | None:
    width, height = shape
    return None if width == height else f"images of {width}×{height} pixels are resized to a square"
