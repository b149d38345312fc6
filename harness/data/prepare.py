"""From raw images to prepared arrays: decode, resize, pair with masks, describe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cell import Options
from harness.data.atomic import atomic_folder, write_text
from harness.data.collection import Collection, Row
from harness.data.decode import write_arrays
from harness.data.doubles import doubles
from harness.data.files import file_states
from harness.data.images import RESAMPLING
from harness.data.layouts.registry import layout
from harness.data.manifest import counts, data_digest, images_csv, with_splits, write_manifest
from harness.data.prepared import SCHEMA, Manifest, Prepared
from harness.data.preparing import Preparing
from harness.data.remarks import Remark, summarise
from harness.data.sources import check_category, own_files, read_stamp, stamp_path
from harness.dataset import Dataset
from harness.errors import ConfigError, DataError
from harness.nearest import hint

VERSION = 1  # of the way pixels are made; part of the data digest
# keys of an entry that say how pixels and splits are made
WAYS = ("attention_threshold", "mask_values", "pad", "sample_every", "weak_split", "white_level")
Digests = Sequence[tuple[str, str]]
BY_FRAME = "weakly supervised split drawn by frame: no clip holds few enough of the anomalous frames to leave the test"


def prepare(
    dataset: Dataset,
    category: str,
    raw: Path,
    out: Path,
    how: Preparing,
    cores: int = 1,
    advance: Callable[[int], None] = lambda items: None,
) -> Manifest:
    """Prepare one category into the folder `out` and return its manifest; does nothing when that was done before.

    Args:
        dataset: of config/datasets.yaml, or of a user.
        category: one of its categories.
        raw: the dataset's folder below work/raw, where `fetch` left its stamp; embedded data need none.
        out: where the prepared arrays go.
        how: size, channels and splits.
        cores: threads that decode.
        advance: told the number of images after each piece of work.

    Raises DataError when anything is missing, damaged or contradictory; `out` is then as it was.
    """
    check_category(dataset, category)
    dataset = _with_options(dataset, how.options)
    source = _source(dataset, category, raw)
    ways = {key: value for key, value in dataset.given().items() if key in WAYS}
    recipe = {"size": how.size, "channels": how.channels, "resampling": RESAMPLING, "version": VERSION} | ways
    drawn = json.dumps([list(how.seeds), how.validation_share, how.weak_share])
    state = [_state(dataset, category, recipe, source), drawn]
    if _state_of(out)[:1] == state[:1]:
        return _refreeze(out, how, state)
    found = _collect(dataset, category, source)
    with atomic_folder(out) as folder:
        digests, noticed = write_arrays(folder, found, (how.size, how.channels), cores, advance)
        where = str(source["folder"] or dataset.id)
        found.remarks += [*noticed, *doubles(found.rows, digests, where, dataset.doubles == "allowed")]
        write_text(folder / "images.csv", images_csv(found.rows, digests))
        write_text(folder / "state.txt", "\n".join(state))
        write_manifest(folder / "manifest.json", _describe(dataset, category, found, recipe, digests, how))
    return Prepared.open(out).manifest


def _with_options(dataset: Dataset, options: Options) -> Dataset:
    """Return the dataset with a protocol's options laid on it. Raises ConfigError for one that means nothing here."""
    unknown = next((key for key in options if key not in WAYS), None)
    if unknown is not None:
        raise ConfigError(f"options of {dataset.id}: unknown '{unknown}'; {hint(unknown, WAYS)}")
    return replace(dataset, **options)


def _collect(dataset: Dataset, category: str, source: Mapping[str, Any]) -> Collection:
    """List the images; raise DataError unless they suffice to train and to measure."""
    found = layout(source["layout"]).collect(source["folder"], dataset, category)
    found.check(f"{dataset.id} {category}", source["folder"] or dataset.id)
    found.notes += [*source["notes"], *dataset.notes]
    found.sources += source["sources"]
    if source["folder"] is not None:
        found.remarks += found.unused(source["folder"], own_files(dataset))
    found.remarks += _count_remarks(dataset, category, found.rows)
    return found


def _describe(
    dataset: Dataset, category: str, found: Collection, recipe: Mapping[str, Any], digests: Digests, how: Preparing
) -> Manifest:
    """Return the manifest of what was found and noticed."""
    rows, gaps = found.rows, found.gaps()
    manifest = Manifest(
        dataset=dataset.id,
        category=category,
        kind=dataset.categories[category].kind,
        size=how.size,
        channels=how.channels,
        counts=counts(rows),
        recipe=recipe,
        sources=found.sources,
        digest=data_digest(rows, digests, recipe),
    )
    manifest = with_splits(manifest, rows, how)
    warnings, important = summarise([*found.remarks, *_frame_remarks(manifest)])
    notes = [*dict.fromkeys([*gaps, *important, *found.notes])]
    return replace(manifest, notes=notes, warnings=[*gaps, *warnings])


def _frame_remarks(manifest: Manifest) -> list[Remark]:
    by_frame = [seed for seed, moved in manifest.weak.items() if moved == manifest.weak_left_out[seed]]
    return [Remark(BY_FRAME, f"seed {seed}", True) for seed in by_frame if manifest.recipe.get("weak_split") == "clip"]


def _source(dataset: Dataset, category: str, raw: Path) -> dict[str, Any]:
    """Return folder, layout, sources and notes of the raw data."""
    if dataset.embedded:
        return {"folder": None, "layout": dataset.layout[0], "sources": [], "notes": []}
    stamp = read_stamp(stamp_path(dataset, category, raw))
    if stamp is None or not (raw / stamp["folder"]).is_dir():
        raise DataError(f"{dataset.id} {category}: not fetched; run `cavga-bench fetch {dataset.id}` first")
    found = layout(stamp["layout"]).locate(raw / stamp["folder"], dataset, category)
    if found is None:
        raise DataError(f"{raw / stamp['folder']}: {category} is no longer there; run `cavga-bench fetch` again")
    return {**stamp, "folder": found}


def _count_remarks(dataset: Dataset, category: str, rows: Sequence[Row]) -> list[Remark]:
    expected = dataset.categories[category].counts or dataset.counts or {}
    found = counts(rows)
    return [
        Remark("numbers of images that differ from the published ones", f"{name} {found[name]}, not {number}", True)
        for name, number in expected.items()
        if found[name] != number
    ]


def _state(dataset: Dataset, category: str, recipe: Mapping[str, Any], source: Mapping[str, Any]) -> str:
    """Return a hash that tells whether preparing again could give anything else.

    It looks at names, sizes and dates of the raw files, which is quick. It decides about repeating work only;
    whether numbers are still valid is decided by the digest of the content.
    """
    entry = {key: value for key, value in dataset.given().items() if key not in {"mirrors", "citation", "title"}}
    text = [json.dumps([SCHEMA, entry, category, recipe], sort_keys=True, default=str)]
    if source["folder"] is not None:
        text += [f"{path}\t{size}\t{date}" for path, size, date in file_states(source["folder"])]
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _state_of(out: Path) -> list[str]:
    """Return the hash of the last preparing and what its splits were drawn from, or nothing."""
    path = out / "state.txt"
    return path.read_text(encoding="utf-8").split("\n") if path.exists() and (out / "manifest.json").exists() else []


def _refreeze(out: Path, how: Preparing, state: Sequence[str]) -> Manifest:
    """Return the manifest of what was prepared before; draw its splits again if seeds or shares changed."""
    prepared = Prepared.open(out)
    if _state_of(out) == list(state):
        return prepared.manifest
    rows = [
        Row(str(row.split), str(row.id), str(row.label), bool(row.anomalous), str(row.clip))
        for row in prepared.images.itertuples(index=False)
    ]
    manifest = with_splits(prepared.manifest, rows, how)
    write_manifest(out / "manifest.json", manifest)
    write_text(out / "state.txt", "\n".join(state))
    return manifest
