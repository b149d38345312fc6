"""Whether a category can be had without asking anyone; else the reason, in one line."""

from __future__ import annotations

from pathlib import Path

from harness.data.sources import (
    check_category,
    find_archive,
    find_tree,
    read_stamp,
    stamp_path,
)
from harness.dataset import FORM, PASSWORD, Dataset


def available(dataset: Dataset, category: str, root: Path | None, raw: Path) -> str | None:
    """Return None when the category is on this machine, else why not ("unavailable: …", "password: …").

    Looks at names only (no file is read but the small stamp), so that planning stays fast.

    Args:
        dataset: of config/datasets.yaml, or of a user.
        category: one of its categories. Raises DataError when it is unknown.
        root: the user's data root, or None.
        raw: the dataset's folder below work/raw, as `raw_folder` says.
    """
    check_category(dataset, category)
    if dataset.embedded:
        return None
    stamp = read_stamp(stamp_path(dataset, category, raw))
    if stamp is not None and (raw / str(stamp.get("folder", ""))).is_dir():
        return None
    if find_tree(dataset, category, root, raw) or find_archive(dataset, category, root, raw):
        return None
    return reason(dataset)


def reason(dataset: Dataset) -> str:
    """Return why a dataset that is not here is not here, and what to do about it."""
    if dataset.path is not None:
        path = Path(dataset.path).expanduser()
        missing = "no such folder" if not path.is_dir() else f"not laid out as {' or '.join(dataset.layout)}"
        return f"unavailable: {path}: {missing} (`path` of the entry)"
    place = dataset.places[0]
    if dataset.access in {FORM, PASSWORD}:
        return f"{dataset.access}: {dataset.ask}, then put the files into {place}/ of the data root"
    if dataset.mirrors:
        return f"unavailable: not in the data root ({place}/); `cavga-bench fetch {dataset.id}` downloads it"
    return f"unavailable: not in the data root ({place}/)"
