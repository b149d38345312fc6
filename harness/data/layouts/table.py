"""A dataset listed in a CSV file with the columns image, label, mask and split, and optionally category.

Paths are relative to the entry's folder, or else to the CSV file's. VisA's own table says `object` for category.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from harness.data.collection import Chunk, Collection, Row, is_normal_name
from harness.data.files import composed
from harness.data.pairs import Reading, pair_chunk
from harness.data.remarks import Remark
from harness.dataset import Dataset
from harness.errors import DataError

REQUIRED = ("image", "label", "split")
COLUMNS = (*REQUIRED, "mask", "category")
ALIASES = {"object": "category"}
UNKNOWN_COLUMN = "columns of the table that mean nothing here"
UNKNOWN_CATEGORY = "rows of the table whose category is none of the entry's"


@dataclass(frozen=True)
class _Line:
    """One line of the table: where it stands, for messages, and its cells by column, without spaces around them."""

    where: str
    cells: Mapping[str, str]


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return `base` when the entry's table is in it."""
    return base if _table(base, dataset).is_file() else None


def _table(base: Path, dataset: Dataset) -> Path:
    return base / dataset.table


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """Read the table. Raises DataError naming the line that is wrong."""
    table, how = _table(folder, dataset), Reading.of(dataset)
    names, lines = _read(table)
    chosen, remarks = _of_category(table, names, lines, category, list(dataset.categories))
    remarks += [Remark(UNKNOWN_COLUMN, name) for name in names if name not in COLUMNS]
    has_masks = any(line.cells.get("mask") for line in chosen) if dataset.masks is None else dataset.masks
    files, chunks, seen = _Files(folder, table.parent), list[Chunk](), dict[Path, str]()
    for line in chosen:
        row, image = _row(line), files.find(line.where, line.cells["image"])
        named = line.cells.get("mask", "")
        mask = files.find(line.where, named) if has_masks and named else None
        if mask is None and has_masks and row.anomalous:
            raise DataError(f"{line.where}: an anomalous image without its mask; name it, or set `masks: false`")
        if image in seen:
            raise DataError(f"{line.where}: {row.id} is listed twice, as in {seen[image]}; remove one line")
        seen[image] = line.where.rpartition(", ")[2]
        chunks.append(pair_chunk(image, row, mask, how))
    others = [table, *files.named(line.cells.get(column, "") for line in lines for column in ("image", "mask"))]
    return Collection(chunks, has_masks, remarks=remarks, scope=[folder], others=others)


def _read(table: Path) -> tuple[list[str], list[_Line]]:
    """Return the names of the columns and all lines that are not empty."""
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file, strict=True)
            names = [_column(name) for name in next(rows, [])]
            _check_columns(table, names)
            lines = [_line(table, rows.line_num, names, cells) for cells in rows if any(cell.strip() for cell in cells)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: no readable CSV file in UTF-8 ({error}); save it as one") from error
    return names, lines


def _column(name: str) -> str:
    plain = name.strip().casefold()
    return ALIASES.get(plain, plain)


def _check_columns(table: Path, names: list[str]) -> None:
    for name in names:
        if len(names) == 1 and any(mark in name for mark in ";\t|"):
            mark = next(mark for mark in ";\t|" if mark in name)
            raise DataError(f"{table}: its columns are separated by {mark!r}; save it with commas")
        if names.count(name) > 1:
            raise DataError(f"{table}: two columns are called '{name}'; rename one of them")
        near = next((known for known in COLUMNS if known not in names and _alike(name, known)), None)
        if near and name not in COLUMNS:
            raise DataError(f"{table}: unknown column '{name}'; did you mean '{near}'?")
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise DataError(f"{table}: no column '{missing[0]}'; needed are image, label, split, and mask if any")


def _alike(name: str, known: str) -> bool:
    return known in name or bool(difflib.get_close_matches(name, [known], 1))


def _line(table: Path, number: int, names: list[str], cells: list[str]) -> _Line:
    where = f"{table}, line {number}"
    if len(cells) > len(names):
        raise DataError(f"{where}: {len(cells)} cells under {len(names)} columns; put quotes around cells with commas")
    return _Line(where, dict(zip(names, (cell.strip() for cell in cells), strict=False)))


def _of_category(
    table: Path, names: list[str], lines: list[_Line], category: str, known: list[str]
) -> tuple[list[_Line], list[Remark]]:
    """Return the lines of one category, and what is to be said of those that belong to none.

    Raises DataError when the table and the entry do not fit together.
    """
    if "category" not in names:
        if len(known) > 1:
            raise DataError(f"{table}: no column 'category', but the entry lists {', '.join(known)}; add the column")
        return lines, []
    found = dict.fromkeys(line.cells.get("category", "") for line in lines)
    if category not in found:
        raise DataError(f"{table}: no row of the category '{category}'; its categories are {', '.join(found)}")
    for name in found:
        near = difflib.get_close_matches(name, known, 1, 0.8)
        if name not in known and near:
            raise DataError(f"{table}: unknown category '{name}'; did you mean '{near[0]}'?")
    strange = [line.cells.get("category", "") for line in lines if line.cells.get("category", "") not in known]
    return [line for line in lines if line.cells.get("category", "") == category], [
        Remark(UNKNOWN_CATEGORY, name or "(empty)", touches_numbers=True) for name in strange
    ]


def _row(line: _Line) -> Row:
    cells = {name: line.cells.get(name, "") for name in REQUIRED}
    split, label = cells["split"].casefold(), cells["label"]
    anomalous = not is_normal_name(label)
    if split not in {"train", "test"}:
        raise DataError(f"{line.where}: split '{cells['split']}' is neither train nor test")
    if not label:
        raise DataError(f"{line.where}: no label; write good or the defect's name")
    if split == "train" and anomalous:
        raise DataError(f"{line.where}: a training image labelled '{label}'; training images must be normal")
    return Row(split, f"{split}/{composed(_relative(line.where, cells['image']).as_posix())}", label, anomalous)


def _relative(where: str, name: str) -> PurePosixPath:
    relative = PurePosixPath(name.replace("\\", "/"))
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise DataError(f"{where}: '{name}' must be a path below the CSV file's folder")
    return relative


class _Files:
    """Finds the files that a table names, whatever Unicode form their names have on disk."""

    def __init__(self, *bases: Path) -> None:
        self.bases = dict.fromkeys(bases)
        self._names: dict[Path, dict[str, Path]] = {}

    def find(self, where: str, name: str) -> Path:
        relative = _relative(where, name)
        found = self._look(relative)
        if found is None:
            raise DataError(f"{where}: {next(iter(self.bases)) / relative} does not exist; correct or remove the line")
        return found

    def named(self, names: Iterable[str]) -> Iterator[Path]:
        """Yield the files among `names` that exist."""
        for name in names:
            relative = PurePosixPath(name.replace("\\", "/"))
            found = self._look(relative) if relative.parts and not relative.is_absolute() else None
            if found is not None:
                yield found

    def _look(self, relative: PurePosixPath) -> Path | None:
        for base in self.bases:
            path: Path | None = base
            for part in relative.parts:
                path = self._below(path, part) if path else None
            if path is not None and path.is_file():
                return path
        return None

    def _below(self, folder: Path, name: str) -> Path | None:
        if (folder / name).exists():
            return folder / name
        if folder not in self._names:
            present = folder.iterdir() if folder.is_dir() else ()
            self._names[folder] = {composed(path.name): path for path in present}
        return self._names[folder].get(composed(name))
