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

from harness.data.collection import Collection, Row
from harness.data.files import composed
from harness.data.images import image_files
from harness.data.pairs import Reading, pair_chunk
from harness.data.remarks import Remark
from harness.dataset import Dataset
from harness.errors import DataError

IMAGES, ATTENTION = "image", "attention_map"
FOLDERS = {False: "non_glaucoma", True: "suspicious_glaucoma"}
LABELS = {False: "normal", True: "glaucoma"}
LABEL_IN_NAME = re.compile(r"^(?:([01])_.*|.*_([01]))$")
TRAIN_SHARE = 0.767  # of the normal images, unless the entry says otherwise
PUBLISHED = (2392, 3432)  # glaucoma and normal images that have attention maps


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return `base` when it has one of the two arrangements."""
    sorted_by_class = all((base / name / IMAGES).is_dir() for name in FOLDERS.values())
    return base if sorted_by_class or ((base / IMAGES).is_dir() and (base / ATTENTION).is_dir()) else None


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """Draw the training images among the normal ones, by name; all others, and all glaucoma images, are the test set.

    The split depends on the file names alone. A pixel of a glaucoma image is anomalous where its attention map
    is above `attention_threshold` times its own maximum.
    """
    homes = [place for place in (folder, *(folder / name for name in FOLDERS.values())) if (place / IMAGES).is_dir()]
    maps = {home: _maps(home) for home in homes}
    images = [(path, ill, home) for home in homes for path, ill in _labelled(home, folder)]
    normal = sorted((path for path, ill, _ in images if not ill), key=_lot)
    training = set(normal[: round((dataset.train_share or TRAIN_SHARE) * len(normal))])
    chunks = []
    for path, ill, home in images:
        split, label = ("train" if path in training else "test"), LABELS[ill]
        name = composed(path.relative_to(home / IMAGES).as_posix())
        attention = _attention(path, home, maps[home]) if ill else None
        chunks.append(
            pair_chunk(path, Row(split, f"{split}/{label}/{name}", label, ill), attention, Reading.of(dataset))
        )
    scope = [home / part for home in homes for part in (IMAGES, ATTENTION)]
    others = [path for found in maps.values() for path in found.values()]
    remarks = _part_remark(sum(ill for _, ill, _ in images), len(images))
    return Collection(chunks, has_masks=True, remarks=remarks, scope=scope, others=others)


def _labelled(home: Path, folder: Path) -> Iterator[tuple[Path, bool]]:
    """Yield each image of one folder and whether it shows glaucoma."""
    for path in image_files(home / IMAGES):
        if home != folder:
            yield path, home.name == FOLDERS[True]
            continue
        match = LABEL_IN_NAME.match(path.stem)
        if match is None:
            raise DataError(f"{path}: the name carries no label; expected 0_… or 1_… first, or …_0 or …_1 last")
        yield path, (match[1] or match[2]) == "1"


def _maps(home: Path) -> dict[str, Path]:
    """Return the attention maps of a folder by stem. Raises DataError for one without an image."""
    folder = home / ATTENTION
    stems = {composed(path.stem) for path in image_files(home / IMAGES)}
    maps = {composed(path.stem): path for path in image_files(folder)} if folder.is_dir() else {}
    stray = next((path for stem, path in maps.items() if stem not in stems), None)
    if stray is not None:
        raise DataError(f"{stray}: an attention map without an image; add the image, or remove the map")
    return maps


def _lot(path: Path) -> str:
    return hashlib.sha256(path.stem.encode()).hexdigest()


def _attention(path: Path, home: Path, maps: Mapping[str, Path]) -> Path:
    if composed(path.stem) not in maps:
        raise DataError(f"{path}: no attention map {home / ATTENTION / path.name}; add it, or remove the image")
    return maps[composed(path.stem)]


def _part_remark(ill: int, images: int) -> list[Remark]:
    if (ill, images - ill) == PUBLISHED:
        return []
    found = f"{ill} glaucoma and {images - ill} normal images"
    return [Remark(found, f"published are {PUBLISHED[0]} and {PUBLISHED[1]} with attention maps")]
