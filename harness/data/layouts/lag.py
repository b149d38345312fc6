"""LAG: fundus images (image/) with the ophthalmologists' attention maps (attention_map/).

Two arrangements are known: {suspicious_glaucoma,non_glaucoma}/{image,attention_map}/ of the part that the authors
hand out, and one image/ and attention_map/ whose file names carry the label (0 negative, 1 glaucoma) as their first or
last part, such as 1_0042.jpg or 0042_1.jpg.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.images import image_files, read_image, read_mask
from harness.errors import DataError

IMAGES, ATTENTION = "image", "attention_map"
FOLDERS = {False: "non_glaucoma", True: "suspicious_glaucoma"}
LABELS = {False: "normal", True: "glaucoma"}
LABEL_IN_NAME = re.compile(r"^(?:([01])_.*|.*_([01]))$")


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return `base` when it has one of the two arrangements."""
    sorted_by_class = all((base / name / IMAGES).is_dir() for name in FOLDERS.values())
    return base if sorted_by_class or ((base / IMAGES).is_dir() and (base / ATTENTION).is_dir()) else None


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """Draw the training images among the normal ones, by name; all others, and all glaucoma images, are the test set.

    The split depends on the file names alone. A pixel of a glaucoma image is anomalous where its attention map
    is above `attention_threshold` times its own maximum.
    """
    images = list(_labelled(folder))
    normal = sorted((path for path, ill in images if not ill), key=_lot)
    training = set(normal[: round(float(entry["train_share"]) * len(normal))])
    threshold = float(entry["attention_threshold"])
    chunks = []
    for path, ill in images:
        split, label = ("train" if path in training else "test"), LABELS[ill]
        row = Row(split, f"{split}/{label}/{path.name}", label, ill)
        chunks.append(_chunk(path, row, _attention(path) if ill else None, threshold))
    return Collection(chunks, has_masks=True, warnings=_part_warning(images))


def _labelled(folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield each image and whether it shows glaucoma."""
    if (folder / FOLDERS[True]).is_dir():
        for ill, name in FOLDERS.items():
            yield from ((path, ill) for path in _images(folder / name))
        return
    for path in _images(folder):
        match = LABEL_IN_NAME.match(path.stem)
        if match is None:
            raise DataError(f"{path}: the name carries no label; expected 0_… or 1_… first, or …_0 or …_1 last")
        yield path, (match[1] or match[2]) == "1"


def _images(folder: Path) -> list[Path]:
    """Return the images below `folder`. Raises DataError for an attention map without an image."""
    images = image_files(folder / IMAGES)
    stems = {path.stem for path in images}
    for path in image_files(folder / ATTENTION) if (folder / ATTENTION).is_dir() else []:
        if path.stem not in stems:
            raise DataError(f"{path}: an attention map without an image; add the image, or remove the map")
    return images


def _lot(path: Path) -> str:
    return hashlib.sha256(path.stem.encode()).hexdigest()


def _attention(path: Path) -> Path:
    folder = path.parent.parent / ATTENTION
    candidates = [folder / f"{path.stem}{suffix}" for suffix in (path.suffix, ".jpg", ".png")]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        raise DataError(f"{path}: no attention map {candidates[0]}; add it, or remove the image")
    return found


def _chunk(path: Path, row: Row, attention: Path | None, threshold: float) -> Chunk:
    def read(size: int, channels: int) -> Iterator[Sample]:
        pixels, digest, shape = read_image(path, size, channels)
        if attention is None:
            yield Sample(pixels, None, digest)
            return
        mask, mask_digest = read_mask(attention, size, shape, threshold)
        yield Sample(pixels, mask, digest, mask_digest)

    return Chunk([row], read)


def _part_warning(images: list[tuple[Path, bool]]) -> list[str]:
    ill = sum(glaucoma for _, glaucoma in images)
    if (ill, len(images) - ill) == (2392, 3432):
        return []
    return [f"{ill} glaucoma and {len(images) - ill} normal images; published are 2392 and 3432 with attention maps"]
