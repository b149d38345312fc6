"""From raw images to prepared arrays: decode, resize, pair with masks, describe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.data.atomic import atomic_folder, write_text
from harness.data.collection import Collection, Row
from harness.data.decode import write_arrays
from harness.data.files import file_states
from harness.data.images import RESAMPLING
from harness.data.layouts.registry import layout, layout_names
from harness.data.manifest import counts, data_digest, images_csv, splits, write_manifest
from harness.data.prepared import Prepared
from harness.data.sources import check_category, is_embedded, read_stamp, stamp_path
from harness.errors import DataError

VERSION = 1  # of the way pixels are made; part of the data digest
WAYS = ("attention_threshold", "pad", "sample_every")  # keys of an entry that say how pixels are made
Shares = tuple[float, float]


def prepare(
    dataset: Mapping[str, Any],
    category: str,
    raw: Path | None,
    out: Path,
    size: int,
    channels: int,
    seeds: Sequence[int],
    validation_share: float,
    weak_share: float,
    cores: int = 1,
    options: Mapping[str, Any] | None = None,
    advance: Callable[[int], None] = lambda items: None,
) -> dict[str, Any]:
    """Prepare one category into the folder `out` and return its manifest; does nothing when that was done before.

    Args:
        dataset: its entry of datasets.yaml, with its `id`.
        raw: the dataset's folder below work/raw, where `fetch` left its stamp; None for embedded data.
        category: one of its categories.
        out: where the prepared arrays go.
        size: side of the prepared images in pixels.
        channels: 1 (grey) or 3 (RGB).
        seeds: base seeds whose splits are frozen.
        validation_share: share of the training images held out for validation.
        weak_share: share of the test set whose number of anomalous images moves into weakly supervised training.
        cores: threads that decode.
        options: of the protocol, such as `sample_every`.
        advance: told the number of images after each piece of work.

    Raises DataError when anything is missing, damaged or contradictory; `out` is then as it was.
    """
    check_category(dataset, category)
    source, shares = _source(dataset, category, raw), (validation_share, weak_share)
    ways = {key: dataset[key] for key in WAYS if key in dataset} | dict(options or {})
    recipe = {"size": size, "channels": channels, "resampling": RESAMPLING, "version": VERSION} | ways
    state = [_state(dataset, category, recipe, source), json.dumps([list(seeds), shares])]
    if _state_of(out)[:1] == state[:1]:
        return _refreeze(out, seeds, shares, state)
    found = _collect(dataset, category, source, ways)
    with atomic_folder(out) as folder:
        digests, warnings = write_arrays(folder, found, (size, channels), cores, advance)
        found.warnings += [*warnings, *_count_warnings(dataset, category, found.rows)]
        write_text(folder / "images.csv", images_csv(found.rows, digests))
        write_text(folder / "state.txt", "\n".join(state))
        manifest = _describe(dataset, category, found, recipe) | {"sources": source["sources"]}
        manifest["digest"] = data_digest(found.rows, digests, recipe)
        manifest |= splits(dataset["id"], category, found.rows, seeds, shares)
        write_manifest(folder / "manifest.json", manifest)
    return Prepared.open(out).manifest


def _collect(
    dataset: Mapping[str, Any], category: str, source: Mapping[str, Any], ways: Mapping[str, Any]
) -> Collection:
    """List the images; raise DataError unless they suffice to train and to measure."""
    found = layout(source["layout"]).collect(source["folder"], dataset, category, ways)
    found.check(f"{dataset['id']} {category}", source["folder"] or dataset["id"])
    found.notes += [*source["notes"], *dataset.get("notes", [])]
    return found


def _describe(
    dataset: Mapping[str, Any], category: str, found: Collection, recipe: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the part of the manifest that does not depend on the pixels."""
    return {
        "dataset": dataset["id"],
        "category": category,
        "kind": dataset["categories"][category].get("kind", "object"),
        "size": recipe["size"],
        "channels": recipe["channels"],
        "counts": counts(found.rows),
        "recipe": dict(recipe),
        "notes": sorted(set(found.notes)),
        "warnings": found.warnings,
    }


def _source(dataset: Mapping[str, Any], category: str, raw: Path | None) -> dict[str, Any]:
    """Return folder, layout, sources and notes of the raw data."""
    if is_embedded(dataset):
        return {"folder": None, "layout": layout_names(dataset)[0], "sources": [], "notes": []}
    if raw is None:
        raise DataError(f"{dataset['id']}: no raw folder given; run `cavga-bench fetch {dataset['id']}` first")
    stamp = read_stamp(stamp_path(dataset, category, raw))
    if stamp is None or not (raw / stamp["folder"]).is_dir():
        raise DataError(f"{dataset['id']} {category}: not fetched; run `cavga-bench fetch {dataset['id']}` first")
    found = layout(stamp["layout"]).locate(raw / stamp["folder"], dataset, category)
    if found is None:
        raise DataError(f"{raw / stamp['folder']}: {category} is no longer there; run `cavga-bench fetch` again")
    return {**stamp, "folder": found}


def _count_warnings(dataset: Mapping[str, Any], category: str, rows: Sequence[Row]) -> list[str]:
    expected = dataset["categories"][category].get("counts") or dataset.get("counts")
    found = counts(rows)
    if expected is None or dict(expected) == found:
        return []
    return [
        f"{name} has {found[name]} images, the published number is {number}"
        for name, number in expected.items()
        if found[name] != number
    ]


def _state(dataset: Mapping[str, Any], category: str, recipe: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """Return a hash that tells whether preparing again could give anything else.

    It looks at names, sizes and dates of the raw files, which is quick. It decides about repeating work only;
    whether numbers are still valid is decided by the digest of the content.
    """
    entry = {key: value for key, value in dataset.items() if key not in {"mirrors", "citation", "title"}}
    text = [json.dumps([entry, category, recipe], sort_keys=True, default=str)]
    if source["folder"] is not None:
        text += [f"{path}\t{size}\t{date}" for path, size, date in file_states(source["folder"])]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _state_of(out: Path) -> list[str]:
    """Return the hash of the last preparing and what its splits were drawn from, or nothing."""
    path = out / "state.txt"
    return path.read_text(encoding="utf-8").split("\n") if path.exists() and (out / "manifest.json").exists() else []


def _refreeze(out: Path, seeds: Sequence[int], shares: Shares, state: Sequence[str]) -> dict[str, Any]:
    """Return the manifest of what was prepared before; draw its splits again if seeds or shares changed."""
    prepared = Prepared.open(out)
    if _state_of(out) == list(state):
        return prepared.manifest
    rows = [
        Row(str(row.split), str(row.id), str(row.label), bool(row.anomalous))
        for row in prepared.images.itertuples(index=False)
    ]
    dataset, category = prepared.manifest["dataset"], prepared.manifest["category"]
    manifest = {**prepared.manifest, **splits(dataset, category, rows, seeds, shares)}
    write_manifest(out / "manifest.json", manifest)
    write_text(out / "state.txt", "\n".join(state))
    return manifest
