"""Reading records, and telling an altered one from one that is merely out of date.

Three different findings: a record is *altered* when it contradicts itself (its seal, or its fingerprint and the keys
that make it up); it is *misplaced* when it lies where another cell's record belongs; it is *stale* when it is sound,
but today's sources or data imply another fingerprint. Only the last one is no error.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EvidenceError
from harness.records.fingerprint import join_keys
from harness.records.migrate import migrate
from harness.records.record import SCHEMA, check, seal

if TYPE_CHECKING:
    from harness.cell import Cell

STATUSES = ("measured", "failed")
PLACE = ("protocol", "dataset", "category", "method", "seed")


def read_record(path: Path, cell: Cell | None = None) -> dict[str, Any]:
    """Return a record's content in today's schema; `cell` says whose record belongs here.

    Raises EvidenceError when it is damaged, altered, of an unknown schema or status, or another cell's.
    """
    content = _parse(path)
    version = content.get("schema")
    content = migrate(content, path)
    if cell is not None:
        check_place(content, (cell.protocol, cell.source, cell.category, cell.method, cell.seed), path)
    if content.get("status") not in STATUSES:
        raise EvidenceError(
            f"{path}: unknown status '{content.get('status')}'; known: {', '.join(STATUSES)}; measure it again"
        )
    check_seal(content, path, sealed=version == SCHEMA)
    return content


def read_checked(path: Path, cell: Cell | None = None) -> dict[str, Any]:
    """Return a record's content after every check that needs nothing but the file: schema, finite measures, keys.

    Raises EvidenceError. Slower than `read_record` (the schema): for what is accepted, verified or archived.
    """
    content = read_record(path, cell)
    check(content, path)
    measuring = content["measuring_key"]
    if measuring and join_keys(content["fit_key"], content["data_digest"], measuring) != content["fingerprint"]:
        raise EvidenceError(f"{path}: the fingerprint does not follow from its own keys; measure the cell again")
    return content


def check_place(content: dict[str, Any], place: tuple[str, str, str, str, int], path: Path) -> None:
    """Raise EvidenceError when a record names another cell than the one whose place it takes."""
    found = tuple(content.get(key) for key in PLACE)
    if found != place:
        names = "/".join(map(str, found[:-1])) + f"/seed{found[-1]}"
        raise EvidenceError(f"{path}: holds the record of {names}; it does not belong here: move it or delete it")


def check_seal(content: dict[str, Any], path: Path, *, sealed: bool) -> None:
    """Raise EvidenceError when a record was altered after it was written; `sealed`: whether its schema has a seal."""
    if content.get("seal") is None and not sealed:
        return
    if content.get("seal") != seal(content):
        remedy = "restore it (git checkout) or measure the cell again"
        raise EvidenceError(f"{path}: was altered after it was written (its seal is broken); {remedy}")


def place_of(path: Path, folder: Path) -> tuple[str, str, str, str, int]:
    """Return protocol, dataset, category, method and seed that a record's path names. Raises EvidenceError."""
    parts = path.relative_to(folder).parts
    digits = parts[-1].removeprefix("seed").removesuffix(".json")
    if (
        len(parts) != len(PLACE)
        or parts[-1] != f"seed{digits}.json"
        or not digits.isdecimal()
        or str(int(digits)) != digits
    ):
        layout = "<protocol>/<dataset>/<category>/<method>/seed<k>.json"
        raise EvidenceError(f"{path}: is no record's place ({layout}); remove it")
    return parts[0], parts[1], parts[2], parts[3], int(digits)


def _parse(path: Path) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise EvidenceError(f"{path}: holds {name}, which is no number; delete the file and measure again")

    try:
        content = json.loads(path.read_text(), parse_constant=refuse, object_pairs_hook=_unique)
    except (OSError, ValueError) as error:
        raise EvidenceError(f"{path}: not a readable record ({error}); delete it and measure again") from None
    if not isinstance(content, dict):
        raise EvidenceError(f"{path}: not a record; delete it and measure again")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that stands twice: readers would disagree on which one counts."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands twice")
    return content
