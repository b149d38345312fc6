"""Entries of datasets.yaml for tests, and the two steps that bring a painted dataset into prepared arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.data.fetch import fetch
from harness.data.prepare import prepare
from harness.data.prepared import Prepared
from harness.data.preparing import Preparing
from harness.dataset import Dataset

DIGITS = {str(number): {"title": str(number), "kind": "object"} for number in range(10)}
MVTEC: dict[str, Any] = {
    "id": "parts", "title": "Parts", "layout": "mvtec", "access": "open", "part": "category",
    "archives": ["{category}.tar.xz", "{category}.zip", "all.tar.gz"],
    "categories": {"bottle": {"title": "Bottle", "kind": "object"}, "tile": {"title": "Tile", "kind": "texture"}},
}  # fmt: skip
IDX: dict[str, Any] = {
    "id": "numbers", "title": "Numbers", "layout": ["idx", "class_tree"], "access": "open", "pad": 2, "masks": False,
    "class_protocol": "one_class", "categories": DIGITS,
    "files": [f"{a}-{b}-ubyte" for a in ("train", "t10k") for b in ("images-idx3", "labels-idx1")],
}  # fmt: skip
BATCHES: dict[str, Any] = {
    "id": "colours", "title": "Colours", "layout": ["cifar_batches", "class_tree"], "access": "open", "masks": False,
    "lossless": True, "categories": DIGITS,
}  # fmt: skip
SCENES: dict[str, Any] = {
    "id": "campus", "title": "Campus", "layout": "shanghaitech", "access": "open", "sample_every": 5,
    "categories": {"01": {"title": "Scene 01"}, "02": {"title": "Scene 02"}},
}  # fmt: skip
LAG: dict[str, Any] = {
    "id": "eyes", "title": "Eyes", "layout": "lag", "access": "password", "ask": "ask the authors",
    "train_share": 0.6, "attention_threshold": 0.5, "categories": {"fundus": {"title": "Fundus"}},
}  # fmt: skip
TABLE: dict[str, Any] = {
    "id": "own", "title": "Own", "layout": "table", "access": "open", "categories": {"own": {"title": "Own"}},
}  # fmt: skip


def dataset(entry: dict[str, Any] | Dataset) -> Dataset:
    """Return an entry as the type that the rooms take."""
    return entry if isinstance(entry, Dataset) else Dataset.read(entry)


def bring(
    entry: dict[str, Any] | Dataset,
    category: str,
    root: Path,
    work: Path,
    *,
    size: int = 16,
    cores: int = 1,
    **how: Any,
) -> Prepared:
    """Fetch one category from the data root and prepare it below `work`."""
    found = dataset(entry)
    raw, out = work / "raw" / found.id, work / "data" / found.id / category
    fetch(found, root, raw, category)
    prepare(found, category, raw, out, Preparing(size, how.pop("channels", 3), **how), cores)
    return Prepared.open(out)
