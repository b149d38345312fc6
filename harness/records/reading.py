"""Reading records, and telling an altered one from one that is merely out of date.

Three different findings: a record is *altered* when it contradicts itself (its seal, or its fingerprint and the keys
that make it up); it is *misplaced* when it lies where another cell's record belongs; it is *stale* when it is sound,
but today's sources or data imply another fingerprint. Only the last one is no error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import paths
from harness.cell import Cell, CellKey
from harness.errors import EvidenceError
from harness.records.record import SCHEMA, Record, check, seal

STATUSES = ("measured", "failed")
REMEDY = "restore it (git checkout), or delete it and measure the cell again"


def read_record(path: Path, cell: Cell | None = None) -> Record:
    """Return a record; `cell` says whose belongs here.

    Raises EvidenceError when it is damaged, altered, of another schema or status, or another cell's.
    """
    return _read(path, cell, thorough=False)


def read_checked(path: Path, cell: Cell | None = None) -> Record:
    """Return a record after every check that needs nothing but the file: the schema and finite measures too.

    Raises EvidenceError. Slower than `read_record`: for what is accepted, verified or archived.
    """
    return _read(path, cell, thorough=True)


def records_below(folder: Path, *, needed: bool = True) -> Iterator[tuple[Path, Record]]:
    """Yield path and record of every record below a folder of records, or below a part of one such as records/lite.

    Raises EvidenceError for a record that is damaged, altered or another cell's, and for none where one is `needed`.
    """
    found = sorted(folder.rglob("seed*.json"))
    if needed and not found:
        raise EvidenceError(f"{folder}: no records there; name a folder such as work/records")
    for path in found:
        record = read_record(path)
        if path.absolute().parts[-len(record.cell) :] != paths.record(record.cell).parts:
            raise EvidenceError(f"{path}: holds the record of another cell; move it or delete it")
        yield path, record


def _read(path: Path, cell: Cell | None, *, thorough: bool) -> Record:
    content = _parse(path)
    if content.get("schema") != SCHEMA or isinstance(content["schema"], bool):
        raise EvidenceError(f"{path}: schema {content.get('schema')!r}, not {SCHEMA}; delete it and measure again")
    if content.get("status") not in STATUSES:
        raise EvidenceError(
            f"{path}: unknown status '{content.get('status')}'; known: {', '.join(STATUSES)}; measure it again"
        )
    if cell is not None:
        _check_place(content, cell.key, path)
    if content.get("seal") != seal(content):
        raise EvidenceError(f"{path}: was altered after it was written (its seal is broken); {REMEDY}")
    if thorough:
        check(content, path)
    try:
        record = Record.read(content)
    except (KeyError, TypeError, AttributeError) as error:
        raise EvidenceError(f"{path}: not a whole record ({error}); measure the cell again") from None
    if record.fingerprint != content["fingerprint"]:
        raise EvidenceError(f"{path}: the fingerprint does not follow from its own keys; measure the cell again")
    return record


def _check_place(content: dict[str, Any], place: CellKey, path: Path) -> None:
    """Raise EvidenceError when a record names another cell than the one whose place it takes."""
    found = [content.get(key) for key in CellKey._fields]
    if found != list(place):
        names = "/".join(map(str, found[:-1])) + f"/seed{found[-1]}"
        raise EvidenceError(f"{path}: holds the record of {names}; it does not belong here: move it or delete it")


def place_of(path: Path, folder: Path) -> CellKey:
    """Return protocol, dataset, category, method and seed that a record's path names. Raises EvidenceError."""
    parts = path.relative_to(folder).parts
    digits = parts[-1].removeprefix("seed").removesuffix(".json")
    if (
        len(parts) != len(CellKey._fields)
        or parts[-1] != f"seed{digits}.json"
        or not digits.isdecimal()
        or str(int(digits)) != digits
    ):
        layout = "<protocol>/<dataset>/<category>/<method>/seed<k>.json"
        raise EvidenceError(f"{path}: is no record's place ({layout}); remove it")
    return CellKey(parts[0], parts[1], parts[2], parts[3], int(digits))


def _parse(path: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise EvidenceError(f"{path}: holds {name}, which is no number; delete the file and measure again")

    try:
        content = json.loads(path.read_text(), parse_constant=refuse, object_pairs_hook=_unique)
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: not a readable record ({error}); {REMEDY}") from None
    if not isinstance(content, dict):
        raise EvidenceError(f"{path}: not a record; {REMEDY}")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: readers would disagree on which one counts."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice")
    return content
