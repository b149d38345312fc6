"""The MVTec AD layout: train/good, test/good, test/<defect>, ground_truth/<defect>/<stem>_mask.png.

The entry's `tree` may name other folders than train, test and ground_truth. Sub-folders are read with their folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.data.collection import Chunk, Collection, Row, is_normal_name
from harness.data.files import composed, subfolders
from harness.data.images import image_files
from harness.data.pairs import Reading, pair_chunk
from harness.dataset import Dataset
from harness.errors import DataError

_MASK = re.compile(r"_mask$", re.I)


@dataclass(frozen=True)
class _Tree:
    """The three folders of a category."""

    train: Path
    test: Path
    truth: Path


def _tree(folder: Path, dataset: Dataset) -> _Tree:
    return _Tree(folder / dataset.tree.train, folder / dataset.tree.test, folder / dataset.tree.masks)


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return the category's folder at or below `base`, or None."""
    candidates = [base / category, base] if len(dataset.categories) == 1 else [base / category]
    return next((folder for folder in candidates if _tree(folder, dataset).train.is_dir()), None)


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """List the images of one category. Raises DataError on a missing, doubled or stray image or mask."""
    tree, has_masks, how = _tree(folder, dataset), dataset.masks is not False, Reading.of(dataset)
    normal = [place for place in subfolders(tree.train) if is_normal_name(place.name)]
    if not normal or not tree.test.is_dir():
        raise DataError(f"{folder}: expected the folders train/good and test; docs/own_data.md shows the layout")
    chunks = [chunk for place in normal for chunk in _chunks("train", place, None, how)]
    truth = {composed(place.name).casefold(): place for place in subfolders(tree.truth)}
    for place in subfolders(tree.test):
        if place != tree.truth:
            masks = truth.pop(composed(place.name).casefold(), tree.truth / place.name)
            chunks += _chunks("test", place, masks if has_masks else None, how)
    if has_masks:
        _refuse_strays(truth.values(), tree)
    others = [] if has_masks or not tree.truth.is_dir() else image_files(tree.truth)
    return Collection(chunks, has_masks, scope=[folder], others=others)


def _chunks(split: str, place: Path, truth: Path | None, how: Reading) -> list[Chunk]:
    """Return one chunk an image of the folder `place`, with the masks in the folder `truth`."""
    images = image_files(place)
    anomalous = split == "test" and not is_normal_name(place.name)
    masks = _masks(truth, place, images, anomalous) if truth else {}
    chunks = []
    for path in images:
        name = composed(path.relative_to(place.parent).as_posix())
        row = Row(split, f"{split}/{name}", composed(place.name), anomalous)
        chunks.append(pair_chunk(path, row, masks.get(path), how))
    return chunks


def _refuse_strays(folders: Iterable[Path], tree: _Tree) -> None:
    """Raise DataError for the masks of a defect of which no image is there."""
    for masks in folders:
        if image_files(masks):
            raise DataError(
                f"{masks}: masks without images; add the folder {tree.test / masks.name}, or remove the masks"
            )


def _masks(folder: Path, place: Path, images: list[Path], needed: bool) -> dict[Path, Path]:
    """Pair images with masks by name; both `000_mask.png` and `000.png` belong to `000`."""
    masks: dict[str, Path] = {}
    for path in image_files(folder) if folder.is_dir() else []:
        stem = _MASK.sub("", _stem(path, folder))
        if stem in masks:
            raise DataError(f"{path}: a second mask for image {stem}; remove one of them")
        masks[stem] = path
    pairs = {}
    for image in images:
        stem = _stem(image, place)
        if stem in masks:
            pairs[image] = masks.pop(stem)
        elif needed:
            raise DataError(f"{image}: no mask {folder / stem}_mask.png; add it, or remove the image")
    if masks:
        raise DataError(f"{min(masks.values())}: a mask without an image; add the image, or remove the mask")
    return pairs


def _stem(path: Path, folder: Path) -> str:
    return composed(path.relative_to(folder).with_suffix("").as_posix())
