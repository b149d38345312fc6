"""Finding a dataset on this machine, by looking at names only: planning asks this for every category."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.archives import is_archive
from harness.data.files import file_states, subfolders
from harness.data.layouts.registry import layout
from harness.dataset import Dataset
from harness.errors import DataError

UNPACKED = "unpacked"
DOWNLOADS = "downloads"


@dataclass(frozen=True)
class Tree:
    """Images that lie ready to be read.

    Attributes:
        base: the folder in which `layout` locates each category.
        archive: the archive they were unpacked from, if any.
    """

    base: Path
    layout: str
    archive: str | None = None


def raw_folder(dataset: Dataset, work: Path) -> Path:
    """Return the folder below `work` for a dataset's raw files; datasets cut from one source share it."""
    return work / "raw" / dataset.source


def part(dataset: Dataset, category: str) -> str:
    """Return what is fetched together: one category, or "all" of the dataset."""
    return category if dataset.part == "category" else "all"


def stamp_path(dataset: Dataset, category: str, raw: Path) -> Path:
    """Return the file that `fetch` writes once a category's raw files are there and checked."""
    return raw / f"{part(dataset, category)}.json"


def read_stamp(path: Path) -> dict[str, Any] | None:
    """Return the content of a stamp, or None when there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def check_category(dataset: Dataset, category: str) -> None:
    """Raise DataError when the dataset has no such category."""
    if category not in dataset.categories:
        known = ", ".join(dataset.categories)
        raise DataError(f"{dataset.id}: unknown category '{category}'; known are {known}")


def own_files(dataset: Dataset) -> list[str]:
    """Return patterns of files that may lie beside a dataset's images: its archives, downloads and `ignore`."""
    archives = [name.replace("{category}", "*") for name in dataset.archives]
    downloads = [mirror.file for mirror in dataset.mirrors]
    return [*archives, *downloads, *dataset.ignore]


def find_tree(dataset: Dataset, category: str, root: Path | None, raw: Path) -> Tree | None:
    """Return where the category lies unpacked: in the data root, or unpacked by an earlier `fetch`."""
    for name in dataset.layout:
        for base in _bases(dataset, root):
            if layout(name).locate(base, dataset, category):
                return Tree(base, name)
        for unpacked in subfolders(raw / UNPACKED):
            for base in [unpacked, *subfolders(unpacked)]:
                if layout(name).locate(base, dataset, category):
                    return Tree(base, name, unpacked.name)
        if layout(name).locate(raw / DOWNLOADS, dataset, category):
            return Tree(raw / DOWNLOADS, name)
    return None


def find_archive(dataset: Dataset, category: str, root: Path | None, raw: Path) -> Path | None:
    """Return the archive that holds the category: in the data root, or downloaded earlier."""
    names = [name.replace("{category}", category) for name in dataset.archives]
    for base in [*_bases(dataset, root), raw / DOWNLOADS]:
        for name in names:
            if (base / name).is_file() and is_archive(base / name):
                return base / name
    return None


def folder_state(dataset: Dataset, category: str, root: Path | None) -> str:
    """Return a hash of names, sizes and dates of the files of a category that lies unpacked in the data root."""
    found = (layout(name).locate(base, dataset, category) for name in dataset.layout for base in _bases(dataset, root))
    folder = next((place for place in found if place), None)
    return hashlib.sha256(repr(list(file_states(folder))).encode()).hexdigest() if folder else ""


def _bases(dataset: Dataset, root: Path | None) -> Iterator[Path]:
    """Yield the existing folders in which the user may have put the dataset."""
    if dataset.path is not None:
        yield Path(dataset.path).expanduser()
        return
    if root is None:
        return
    for name in dataset.places:
        if (root / name).is_dir():
            yield root / name
