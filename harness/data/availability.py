"""Whether a category can be had without asking anyone; else the reason, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data.layouts.registry import layout_names
from harness.data.sources import (
    check_category,
    find_archive,
    find_tree,
    is_embedded,
    read_stamp,
    stamp_path,
)


def available(entry: Mapping[str, Any], category: str, root: Path | None, raw: Path) -> str | None:
    """Return None when the category is on this machine, else why not ("unavailable: …", "password: …").

    Looks at names only (no file is read but the small stamp), so that planning stays fast.

    Args:
        entry: the dataset's entry of datasets.yaml, with its `id`.
        category: one of its categories. Raises DataError when it is unknown.
        root: the user's data root, or None.
        raw: the dataset's folder below work/raw, as `raw_folder` says.
    """
    check_category(entry, category)
    if is_embedded(entry):
        return None
    stamp = read_stamp(stamp_path(entry, category, raw))
    if stamp is not None and (raw / str(stamp.get("folder", ""))).is_dir():
        return None
    if find_tree(entry, category, root, raw) or find_archive(entry, category, root, raw):
        return None
    return reason(entry)


def reason(entry: Mapping[str, Any]) -> str:
    """Return why a dataset that is not here is not here, and what to do about it."""
    if "path" in entry:
        path = Path(str(entry["path"])).expanduser()
        missing = "no such folder" if not path.is_dir() else f"not laid out as {' or '.join(layout_names(entry))}"
        return f"unavailable: {path}: {missing} (`path` of the entry)"
    place = str(entry.get("folders", [entry["id"]])[0])
    if entry["access"] in {"password", "form"}:
        return f"{entry['access']}: {entry['ask']}, then put the files into {place}/ of the data root"
    if entry.get("mirrors"):
        return f"unavailable: not in the data root ({place}/); `cavga-bench fetch {entry['id']}` downloads it"
    return f"unavailable: not in the data root ({place}/)"
