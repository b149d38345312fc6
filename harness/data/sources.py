"""Finding a dataset on this machine, by looking at names only: planning asks this for every category."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.archives import Limits, is_archive
from harness.data.files import file_states, subfolders
from harness.data.layouts.registry import layout, layout_names
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


def is_embedded(entry: Mapping[str, Any]) -> bool:
    """Tell whether the dataset is made by the program itself and needs no files."""
    return bool(entry["access"] == "embedded")


def raw_folder(entry: Mapping[str, Any], work: Path) -> Path:
    """Return the folder below `work` for a dataset's raw files; datasets cut from one source share it."""
    return work / "raw" / str(entry.get("raw", entry["id"]))


def part(entry: Mapping[str, Any], category: str) -> str:
    """Return what is fetched together: one category, or "all" of the dataset."""
    return category if entry.get("part") == "category" else "all"


def stamp_path(entry: Mapping[str, Any], category: str, raw: Path) -> Path:
    """Return the file that `fetch` writes once a category's raw files are there and checked."""
    return raw / f"{part(entry, category)}.json"


def limits(entry: Mapping[str, Any]) -> Limits:
    """Return what an archive of the dataset may hold."""
    return Limits(**entry.get("limits", {}))


def read_stamp(path: Path) -> dict[str, Any] | None:
    """Return the content of a stamp, or None when there is none that can be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def check_category(entry: Mapping[str, Any], category: str) -> None:
    """Raise DataError when the dataset has no such category."""
    if category not in entry["categories"]:
        known = ", ".join(entry["categories"])
        raise DataError(f"{entry['id']}: unknown category '{category}'; known are {known}")


def own_files(entry: Mapping[str, Any]) -> list[str]:
    """Return patterns of files that may lie beside a dataset's images: its archives, downloads and `ignore`."""
    archives = [str(name).replace("{category}", "*") for name in entry.get("archives", [])]
    downloads = [str(mirror["file"]) for mirror in entry.get("mirrors", [])]
    return [*archives, *downloads, *entry.get("ignore", [])]


def find_tree(entry: Mapping[str, Any], category: str, root: Path | None, raw: Path) -> Tree | None:
    """Return where the category lies unpacked: in the data root, or unpacked by an earlier `fetch`."""
    for name in layout_names(entry):
        for base in _bases(entry, root):
            if layout(name).locate(base, entry, category):
                return Tree(base, name)
        for unpacked in subfolders(raw / UNPACKED):
            for base in [unpacked, *subfolders(unpacked)]:
                if layout(name).locate(base, entry, category):
                    return Tree(base, name, unpacked.name)
        if layout(name).locate(raw / DOWNLOADS, entry, category):
            return Tree(raw / DOWNLOADS, name)
    return None


def find_archive(entry: Mapping[str, Any], category: str, root: Path | None, raw: Path) -> Path | None:
    """Return the archive that holds the category: in the data root, or downloaded earlier."""
    names = [str(name).replace("{category}", category) for name in entry.get("archives", [])]
    for base in [*_bases(entry, root), raw / DOWNLOADS]:
        for name in names:
            if (base / name).is_file() and is_archive(base / name):
                return base / name
    return None


def folder_state(entry: Mapping[str, Any], category: str, root: Path | None) -> str:
    """Return a hash of names, sizes and dates of the files of a category that lies unpacked in the data root."""
    found = (layout(name).locate(base, entry, category) for name in layout_names(entry) for base in _bases(entry, root))
    folder = next((place for place in found if place), None)
    return hashlib.sha256(repr(list(file_states(folder))).encode()).hexdigest() if folder else ""


def _bases(entry: Mapping[str, Any], root: Path | None) -> Iterator[Path]:
    """Yield the existing folders in which the user may have put the dataset."""
    if "path" in entry:
        yield Path(str(entry["path"])).expanduser()
        return
    if root is None:
        return
    for name in entry.get("folders", [entry["id"]]):
        if (root / str(name)).is_dir():
            yield root / str(name)
