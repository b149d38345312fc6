"""Prepare one category: raw images and masks in, arrays and a manifest out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data import prepare as data
from harness.data.sources import is_embedded, raw_folder
from harness.training.progress import Progress


def prepare(
    protocol: Mapping[str, Any],
    dataset: str,
    entry: Mapping[str, Any],
    category: str,
    work: Path,
    out: Path,
    size: int,
    cores: int,
) -> dict[str, Any]:
    """Prepare `category` of the dataset with `entry`, which stands for the paper's `dataset`. Returns the manifest."""
    prepared = protocol["datasets"][dataset]
    with Progress("prepare").steps(f"{entry['id']} {category}") as advance:
        return data.prepare(
            entry,
            category,
            None if is_embedded(entry) else raw_folder(entry, work),
            out,
            size,
            prepared["channels"],
            protocol["seeds"],
            protocol["validation_share"],
            protocol["weak_share"],
            cores,
            prepared.get("options"),
            advance,
        )
