"""From raw images to prepared arrays: decode, resize, pair with masks, describe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmark.data.arrays import ArrayWriter
from benchmark.data.atomic import atomic_folder, require_space, write_text
from benchmark.data.collection import Chunk, Collection, Row
from benchmark.data.files import walk_files
from benchmark.data.images import RESAMPLING
from benchmark.data.layouts.registry import layout, layout_names
from benchmark.data.manifest import counts, data_digest, images_csv, splits, write_manifest
from benchmark.data.prepared import Prepared
from benchmark.data.sources import check_category, is_embedded, read_stamp, stamp_path
from benchmark.errors import DataError

VERSION = 1  # of the way pixels are made; part of the data digest


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
    source = _source(dataset, category, raw)
    recipe = {
        "size": size,
        "channels": channels,
        "resampling": RESAMPLING,
        "version": VERSION,
        **(options or {}),
    }
    state = _state(dataset, category, recipe, source)
    shares = (validation_share, weak_share)
    drawn = json.dumps([list(seeds), shares])
    done = _state_of(out)
    if done[:1] == [state]:
        return Prepared.open(out).manifest if done[1:] == [drawn] else _refreeze(out, seeds, shares, state, drawn)
    found = layout(source["layout"]).collect(source["folder"], dataset, category, options or {})
    found.check(f"{dataset['id']} {category}", source["folder"] or dataset["id"])
    rows = found.rows()
    with atomic_folder(out) as folder:
        digests, warnings = _write_arrays(folder, found, rows, (size, channels), cores, advance)
        write_text(folder / "images.csv", images_csv(rows, digests))
        write_text(folder / "state.txt", f"{state}\n{drawn}")
        manifest = {
            "dataset": dataset["id"], "category": category,
            "kind": dataset["categories"][category].get("kind", "object"),
            "size": size, "channels": channels, "counts": counts(rows),
            "digest": data_digest(rows, digests, recipe), "recipe": recipe,
            "sources": source["sources"], "notes": sorted({*found.notes, *source["notes"], *dataset.get("notes", [])}),
            "warnings": [*found.warnings, *warnings, *_count_warnings(dataset, category, rows)],
            **splits(dataset["id"], category, rows, seeds, shares),
        }  # fmt: skip
        write_manifest(folder / "manifest.json", manifest)
    return Prepared.open(out).manifest


def _source(dataset: Mapping[str, Any], category: str, raw: Path | None) -> dict[str, Any]:
    """Return folder, layout, sources and notes of the raw data."""
    if is_embedded(dataset):
        return {"folder": None, "layout": layout_names(dataset)[0], "sources": [], "notes": []}
    if raw is None:
        raise DataError(f"{dataset['id']}: no raw folder given; run `benchmark fetch {dataset['id']}` first")
    stamp = read_stamp(stamp_path(dataset, category, raw))
    if stamp is None or not (raw / stamp["folder"]).is_dir():
        raise DataError(f"{dataset['id']} {category}: not fetched; run `benchmark fetch {dataset['id']}` first")
    found = layout(stamp["layout"]).locate(raw / stamp["folder"], dataset, category)
    if found is None:
        raise DataError(f"{raw / stamp['folder']}: {category} is no longer there; run `benchmark fetch` again")
    return {**stamp, "folder": found}


def _write_arrays(
    folder: Path,
    found: Collection,
    rows: Sequence[Row],
    shape: tuple[int, int],
    cores: int,
    advance: Callable[[int], None],
) -> tuple[list[tuple[str, str]], list[str]]:
    """Read all chunks on `cores` threads, straight into the files; return digests by row and the warnings."""
    size, channels = shape
    number = {row.id: index for index, row in enumerate(rows)}
    training = sum(row.split == "train" for row in rows)
    tests = len(rows) - training
    require_space(folder, len(rows) * size * size * channels + tests * size * size, "the prepared arrays")
    digests: list[tuple[str, str]] = [("", "")] * len(rows)
    warnings: set[str] = set()
    with (
        ArrayWriter(folder / "train.npy", (training, size, size, channels)) as train,
        ArrayWriter(folder / "test.npy", (tests, size, size, channels)) as test,
        ArrayWriter(folder / "masks.npy", (tests if found.has_masks else 0, size, size)) as masks,
    ):

        def work(chunk: Chunk) -> None:
            for row, sample in zip(chunk.rows, chunk.read(size, channels), strict=True):
                index = number[row.id]
                digests[index] = (sample.digest, sample.mask_digest)
                if sample.warning:
                    warnings.add(sample.warning)
                if row.split == "train":
                    train.write(index, sample.pixels)
                    continue
                test.write(index - training, sample.pixels)
                if found.has_masks and sample.mask is not None:
                    masks.write(index - training, sample.mask)
            advance(len(chunk.rows))

        _run(work, found.chunks, cores)
    if not found.has_masks:
        (folder / "masks.npy").unlink()
    return digests, sorted(warnings)


def _run(work: Callable[[Chunk], None], chunks: Sequence[Chunk], cores: int) -> None:
    """Do the work on threads (decoding leaves the interpreter's lock); the first error stops what has not begun."""
    if cores == 1:
        for chunk in chunks:
            work(chunk)
        return
    with ThreadPoolExecutor(cores) as pool:
        try:
            for _ in pool.map(work, chunks):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


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
        for path in walk_files(source["folder"]):
            stat = path.stat()
            text.append(f"{path}\t{stat.st_size}\t{stat.st_mtime_ns}")
    return hashlib.sha256("\n".join(text).encode()).hexdigest()


def _state_of(out: Path) -> list[str]:
    """Return the hash of the last preparing and what its splits were drawn from."""
    path = out / "state.txt"
    return path.read_text(encoding="utf-8").split("\n") if path.exists() and (out / "manifest.json").exists() else []


def _refreeze(out: Path, seeds: Sequence[int], shares: tuple[float, float], state: str, drawn: str) -> dict[str, Any]:
    """Draw the splits again, because seeds or shares changed, and write the manifest."""
    prepared = Prepared.open(out)
    rows = [
        Row(str(row.split), str(row.id), str(row.label), bool(row.anomalous))
        for row in prepared.images.itertuples(index=False)
    ]
    dataset, category = prepared.manifest["dataset"], prepared.manifest["category"]
    manifest = {**prepared.manifest, **splits(dataset, category, rows, seeds, shares)}
    write_manifest(out / "manifest.json", manifest)
    write_text(out / "state.txt", f"{state}\n{drawn}")
    return manifest
