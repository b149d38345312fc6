"""The manifest of prepared data: what it is, its digest, its frozen splits."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.atomic import write_text
from harness.data.collection import Row
from harness.data.prepared import Manifest
from harness.data.preparing import Preparing
from harness.data.splits import validation_indices, weak_split
from harness.dataset import Dataset

COLUMNS = ("split", "index", "id", "label", "anomalous", "clip", "source_digest", "mask_digest")


def data_digest(rows: Sequence[Row], digests: Sequence[tuple[str, str]], recipe: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what was prepared: every image's id, label and source bytes, and how it was resized.

    Paths, dates and the order of files do not enter.
    """
    lines = sorted(
        f"{row.split}\t{row.id}\t{row.label}\t{int(row.anomalous)}\t{image}\t{mask}"
        for row, (image, mask) in zip(rows, digests, strict=True)
    )
    text = json.dumps(recipe, sort_keys=True) + "\n" + "\n".join(lines)
    return hashlib.sha256(text.encode()).hexdigest()


def images_csv(rows: Sequence[Row], digests: Sequence[tuple[str, str]]) -> str:
    """Return the text of images.csv; ids and labels with commas or quotes are quoted."""
    text, training = io.StringIO(), sum(row.split == "train" for row in rows)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(
        (
            row.split,
            number if row.split == "train" else number - training,
            row.id,
            row.label,
            row.anomalous,
            row.clip,
            *digest,
        )
        for number, (row, digest) in enumerate(zip(rows, digests, strict=True))
    )
    return text.getvalue()


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """Return the numbers of training, normal test and anomalous test images."""
    keys = ["train" if row.split == "train" else f"test_{'anomalous' if row.anomalous else 'normal'}" for row in rows]
    return {name: keys.count(name) for name in ("train", "test_normal", "test_anomalous")}


def with_splits(manifest: Manifest, rows: Sequence[Row], how: Preparing) -> Manifest:
    """Return the manifest with the splits of every seed drawn."""
    names = (manifest.dataset, manifest.category)
    tests = [row for row in rows if row.split == "test"]
    training, anomalous = len(rows) - len(tests), np.array([row.anomalous for row in tests])
    clips = [row.clip for row in tests] if manifest.recipe.get("weak_split") == "clip" else []
    weak = {str(s): weak_split(s, *names, anomalous, how.weak_share, clips) for s in how.seeds}
    return replace(
        manifest,
        validation={str(s): validation_indices(s, *names, training, how.validation_share) for s in how.seeds},
        weak={seed: split.moved for seed, split in weak.items()},
        weak_left_out={seed: split.left_out for seed, split in weak.items()},
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write the manifest, last and atomically: from now on the folder is valid."""
    write_text(path, json.dumps(manifest.as_dict(), indent=1, ensure_ascii=False) + "\n")


def failed_manifest(dataset: Dataset, category: str, error: str) -> dict[str, Any]:
    """Return the manifest of a category that could not be prepared, so that its cells can say why."""
    none = dict.fromkeys(("train", "test_normal", "test_anomalous"), 0)
    why = " ".join(error.split())
    return Manifest(dataset=dataset.id, category=category, counts=none, digest="none", error=why).as_dict()
