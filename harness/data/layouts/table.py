"""A dataset listed in a CSV file with the columns image, label, mask and split, and optionally category.

Paths are relative to the CSV file. The labels good, normal, ok and 0 are normal, every other label is a defect.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from harness.data.collection import Chunk, Collection, Row
from harness.data.layouts.mvtec import pair_chunk
from harness.errors import DataError

NORMAL = frozenset({"good", "normal", "ok", "0"})
REQUIRED = ("image", "label", "split")


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return `base` when the entry's table is in it."""
    return base if (base / str(entry.get("table", "images.csv"))).is_file() else None


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """Read the table. Raises DataError naming the line that is wrong."""
    table = folder / str(entry.get("table", "images.csv"))
    lines = _lines(table, category)
    has_masks = bool(entry.get("masks", any(line.get("mask") for _, line in lines)))
    chunks = []
    for number, line in lines:
        where = f"{table}, line {number}"
        row = _row(where, line)
        mask = _path(where, folder, line["mask"]) if has_masks and line.get("mask") else None
        if mask is None and has_masks and row.anomalous:
            raise DataError(f"{where}: an anomalous image without its mask; name it, or set `masks: false`")
        chunks.append(pair_chunk(_path(where, folder, line["image"]), row, mask))
    return Collection(_no_doubles(table, chunks), has_masks)


def _lines(table: Path, category: str) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of one category with their numbers in the file."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in REQUIRED if name not in (reader.fieldnames or [])]
            if missing:
                raise DataError(f"{table}: no column '{missing[0]}'; needed are image, label, split, and mask if any")
            lines = [(reader.line_num, {key: value or "" for key, value in line.items() if key}) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: no readable CSV file in UTF-8 ({error}); save it as one") from error
    return [(number, line) for number, line in lines if line.get("category", category) == category]


def _row(where: str, line: Mapping[str, str]) -> Row:
    split, label = line["split"].strip(), line["label"].strip()
    anomalous = label.lower() not in NORMAL
    if split not in {"train", "test"}:
        raise DataError(f"{where}: split '{split}' is neither train nor test")
    if not label:
        raise DataError(f"{where}: no label; write good or the defect's name")
    if split == "train" and anomalous:
        raise DataError(f"{where}: a training image labelled '{label}'; training images must be normal")
    return Row(split, f"{split}/{line['image'].strip()}", label, anomalous)


def _path(where: str, folder: Path, name: str) -> Path:
    relative = PurePosixPath(name.strip())
    if relative.is_absolute() or ".." in relative.parts:
        raise DataError(f"{where}: '{name}' must be a path below the CSV file's folder")
    path = folder / relative
    if not path.is_file():
        raise DataError(f"{where}: {path} does not exist; correct the path or remove the line")
    return path


def _no_doubles(table: Path, chunks: list[Chunk]) -> list[Chunk]:
    seen: set[str] = set()
    for chunk in chunks:
        name = chunk.rows[0].id
        if name in seen:
            raise DataError(f"{table}: {name} is listed twice; remove one line")
        seen.add(name)
    return chunks
