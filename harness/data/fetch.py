"""Bringing a dataset into reach: found in the data root or downloaded, checked, unpacked, stamped."""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from harness.data.archives import is_archive, unpack
from harness.data.atomic import make_folder, write_text
from harness.data.availability import reason
from harness.data.licences import Licences
from harness.data.sources import (
    DOWNLOADS,
    UNPACKED,
    Tree,
    check_category,
    find_archive,
    find_tree,
    read_stamp,
    stamp_path,
)
from harness.data.verify import examine, is_intact
from harness.dataset import OPEN, Dataset
from harness.errors import DataError

Say = Callable[[str], None]


def fetch(
    dataset: Dataset,
    root: Path | None,
    raw: Path,
    category: str | None = None,
    *,
    offline: bool = False,
    licences: Licences | None = None,
    say: Say = lambda text: None,
) -> list[Path]:
    """Bring one category (or all) of a dataset into `raw` and return the stamp files.

    Args:
        dataset: of config/datasets.yaml, or of a user.
        root: the user's data root, or None. What lies there is used before anything is downloaded.
        raw: the dataset's folder below work/raw.
        category: one category; all of them if None.
        offline: never try the network.
        licences: what the user has accepted; without it nothing is downloaded.
        say: told, in one line each, what happens.

    Raises DataError when a category cannot be had, with the reason; categories that were there are stamped before.
    """
    if dataset.embedded:
        say(f"{dataset.id}: made by this program, nothing to fetch")
        return []
    for name in [category] if category else []:
        check_category(dataset, name)
    stamps: dict[Path, None] = {}
    missing: list[str] = []
    with _locked(raw, say):
        _drop_damaged(dataset, raw, say)
        for name in [category] if category else list(dataset.categories) or ["all"]:
            path = stamp_path(dataset, name, raw)
            if path in stamps:
                continue
            here = find_tree(dataset, name, root, raw) or find_archive(dataset, name, root, raw)
            if not here and not _download(dataset, raw, offline, licences, say):
                missing.append(name)
                continue
            _fetch_part(dataset, name, root, raw, path, say)
            stamps[path] = None
    if missing:
        raise DataError(f"{dataset.id} {', '.join(missing)}: {reason(dataset)}")
    return list(stamps)


def _drop_damaged(dataset: Dataset, raw: Path, say: Say) -> None:
    """Delete downloaded files that are not, or no longer, what the mirror's digest says."""
    for mirror in dataset.mirrors:
        path = raw / DOWNLOADS / mirror.file
        if path.is_file() and not is_intact(path, mirror):
            say(f"{path}: damaged, so it is deleted")
            path.unlink()


def _download(dataset: Dataset, raw: Path, offline: bool, licences: Licences | None, say: Say) -> bool:
    """Download every file of the dataset; return False when it has no mirror. The licence comes first."""
    from harness.data.download import download  # needs requests, which only this does

    if not dataset.mirrors or dataset.access != OPEN or licences is None:
        return False
    if offline:
        raise DataError(f"{dataset.id}: {reason(dataset)}; but `offline: true` forbids the network")
    licences.require(dataset)
    for mirror in dataset.mirrors:
        download(mirror, raw / DOWNLOADS, dataset.limits, say)
    return True


def _fetch_part(dataset: Dataset, category: str, root: Path | None, raw: Path, path: Path, say: Say) -> None:
    """Check and unpack what lies in the data root or was downloaded, and write the stamp."""
    archive = find_archive(dataset, category, root, raw)
    tree = find_tree(dataset, category, root, raw)
    if archive is not None and (tree is None or tree.archive is not None):
        source, note = _unpack(dataset, archive, raw, say)
        sources, notes = [source], [note] if note else []
        tree = find_tree(dataset, category, None, raw)
        if tree is None:
            layouts = " or ".join(dataset.layout)
            raise DataError(f"{archive}: unpacked, but {category} is not in it as layout {layouts} expects it")
    else:
        assert tree is not None
        sources, notes = _unpacked_before(raw, tree) or _examine_files(dataset, tree)
    _write_stamp(path, raw, tree, sources, notes)
    what = f"{dataset.id} {category}" if dataset.part == "category" else dataset.id
    for source in sources:
        say(f"{what}: {source['name']} ({source['status']})")


def _examine_files(dataset: Dataset, tree: Tree) -> tuple[list[dict[str, Any]], list[str]]:
    """Check the entry's single files (IDX, weights); a tree of images is described by its prepared data's digest."""
    sources, notes = [], set()
    for name in dataset.files:
        for path in (tree.base / name, tree.base / f"{name}.gz"):
            if path.is_file():
                source, note = examine(dataset, path)
                sources.append(source)
                notes |= {note} if note else set()
                break
    return sources or [{"name": f"folder {tree.base.name}", "status": "unverified"}], sorted(notes)


def _receipt(raw: Path, archive: str) -> Path:
    return raw / UNPACKED / f"{archive}.receipt"


def _unpacked_before(raw: Path, tree: Tree) -> tuple[list[dict[str, Any]], list[str]] | None:
    """Return what an archive was that has been deleted since; its note must not be lost with it."""
    source = dict(read_stamp(_receipt(raw, tree.archive)) or {}) if tree.archive else {}
    note = source.pop("note", None)
    return ([source], [note] if note else []) if source else None


def _unpack(dataset: Dataset, archive: Path, raw: Path, say: Say) -> tuple[dict[str, Any], str | None]:
    """Unpack an archive unless the same bytes were unpacked before; return what it is and its note."""
    if not is_archive(archive):
        raise DataError(f"{archive}: not an archive this tool can unpack; unpack it yourself beside it")
    source, note = examine(dataset, archive)
    receipt, target = _receipt(raw, archive.name), raw / UNPACKED / archive.name
    written = source | ({"note": note} if note else {})
    if read_stamp(receipt) != written or not target.is_dir():
        receipt.unlink(missing_ok=True)
        say(f"unpacking {archive.name}")
        with tqdm(unit=" files", desc=archive.name, disable=not sys.stderr.isatty()) as bar:

            def advance(files: int) -> None:
                bar.update(files)

            official = dataset.home or dataset.mirrors
            remedy = "get the archive from its official source" if official else "pack the files again"
            unpack(archive, target, dataset.limits, remedy, advance)
        write_text(receipt, json.dumps(written, ensure_ascii=False) + "\n")
    return source, note


def _write_stamp(path: Path, raw: Path, tree: Tree, sources: list[dict[str, Any]], notes: list[str]) -> None:
    """Write the stamp unless it says the same already: its date must not move without need."""
    inside = tree.base.is_relative_to(raw)
    folder = str(tree.base.relative_to(raw)) if inside else str(tree.base.absolute())
    content = {"folder": folder, "layout": tree.layout, "sources": sources, "notes": notes}
    if read_stamp(path) != content:
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


@contextmanager
def _locked(raw: Path, say: Say) -> Iterator[None]:
    """Let one process at a time work in `raw`: fifteen jobs may want the same archive."""
    make_folder(raw)
    with (raw / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{raw}: another fetch is at work here; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
