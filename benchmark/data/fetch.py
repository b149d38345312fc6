"""Bringing a dataset into reach: found in the data root or downloaded, checked, unpacked, stamped."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmark.data.archives import unpack
from benchmark.data.atomic import write_text
from benchmark.data.availability import reason
from benchmark.data.files import file_digest
from benchmark.data.layouts.registry import layout_names
from benchmark.data.sources import (
    UNPACKED,
    Tree,
    check_category,
    find_archive,
    find_tree,
    home,
    is_embedded,
    limits,
    read_stamp,
    stamp_path,
)
from benchmark.errors import DataError

Say = Callable[[str], None]


def fetch(
    dataset: Mapping[str, Any],
    root: Path | None,
    raw: Path,
    category: str | None = None,
    say: Say = lambda text: None,
) -> list[Path]:
    """Bring one category (or all) of a dataset into `raw` and return the stamp files.

    Args:
        dataset: its entry of datasets.yaml, with its `id`.
        root: the user's data root, or None.
        raw: the folder work/raw/<dataset>.
        category: one category; all of them if None.
        say: told, in one line each, what happens.
    Raises DataError when a category cannot be had, with the reason.
    """
    if is_embedded(dataset):
        return []
    categories, folder = [category] if category else list(dataset["categories"]), home(dataset, raw)
    stamps: dict[Path, None] = {}
    for name in categories:
        check_category(dataset, name)
        path = stamp_path(dataset, name, raw)
        if path not in stamps:
            with _locked(folder):
                _fetch_part(dataset, name, root, folder, path, say)
            stamps[path] = None
    return list(stamps)


def stamp(entry: Mapping[str, Any], category: str, raw: Path) -> Path | None:
    """Return the stamp below `raw` (work/raw) that preparing a category waits for; None for embedded data."""
    return None if is_embedded(entry) else stamp_path(entry, category, raw / str(entry["id"]))


def _fetch_part(dataset: Mapping[str, Any], category: str, root: Path | None, raw: Path, path: Path, say: Say) -> None:
    archive = find_archive(dataset, category, root, raw)
    tree = find_tree(dataset, category, root, raw)
    if archive is not None and (tree is None or tree.archive is not None):
        source = _unpack(dataset, archive, raw, say)
        tree = find_tree(dataset, category, None, raw)
        if tree is None:
            layouts = " or ".join(layout_names(dataset))
            raise DataError(f"{archive}: unpacked, but {category} is not in it as layout {layouts} expects it")
    elif tree is not None:
        source = {"name": tree.base.name, "status": "unverified"}
    else:
        raise DataError(f"{dataset['id']} {category}: {reason(dataset)}")
    _write_stamp(path, raw, tree, [source])
    say(f"{dataset['id']} {category}: {source['name']} ({source['status']})")


def _unpack(dataset: Mapping[str, Any], archive: Path, raw: Path, say: Say) -> dict[str, Any]:
    """Unpack an archive unless the same bytes were unpacked before; return what it is."""
    source = {"name": archive.name, "sha256": file_digest(archive), "size": archive.stat().st_size}
    source["status"] = "unverified"
    receipt = raw / UNPACKED / f"{archive.name}.json"
    target = raw / UNPACKED / archive.name
    if read_stamp(receipt) != source or not target.is_dir():
        receipt.unlink(missing_ok=True)
        say(f"unpacking {archive.name}")
        unpack(archive, target, limits(dataset))
        write_text(receipt, json.dumps(source) + "\n")
    return source


def _write_stamp(path: Path, raw: Path, tree: Tree, sources: list[dict[str, Any]]) -> None:
    """Write the stamp unless it says the same already: its date must not move without need."""
    inside = tree.base.is_relative_to(raw)
    folder = str(tree.base.relative_to(raw)) if inside else str(tree.base.absolute())
    content = {"folder": folder, "layout": tree.layout, "sources": sources, "notes": []}
    if read_stamp(path) != content:
        write_text(path, json.dumps(content, indent=1) + "\n")


@contextmanager
def _locked(raw: Path) -> Iterator[None]:
    """Let one process at a time work in `raw`: fifteen jobs may want the same archive."""
    raw.mkdir(parents=True, exist_ok=True)
    with (raw / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def forget(raw: Path) -> None:
    """Delete everything that was fetched into `raw`."""
    shutil.rmtree(raw, ignore_errors=True)
