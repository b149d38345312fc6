"""Records as data: one row a measure, for pandas, a notebook or a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import paths
from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.records.reading import records_below
from harness.records.record import Record
from harness.records.trained import images_seen

if TYPE_CHECKING:
    import pandas as pd

COLUMNS: dict[str, str] = {
    "protocol": "string", "dataset": "string", "category": "string", "method": "string", "seed": "int64",
    "measure": "string", "policy": "string", "value": "float64", "low": "float64", "high": "float64",
    "threshold": "float64", "note": "string",
    "evidence": "string", "current": "boolean", "images_seen": "Int64", "weights_origin": "string", "flaw": "string",
    "fit_seconds": "float64", "machine": "string", "fit_key": "string", "fingerprint": "string",
    "data_digest": "string", "commit": "string", "dirty": "bool", "date": "string", "record": "string",
}  # fmt: skip
"""The frame's columns with their types, in order; docs/evidence.md says what each holds."""


def load_records(*folders: Path) -> pd.DataFrame:
    """Return the numbers of all measured records, one row a measure, sorted by cell, with the columns `COLUMNS`.

    Without `folders`: the accepted records of the repository, and those that were measured in the current folder; a
    cell that has both has its rows twice, told apart by `evidence`. Failed records have no measures, and no rows.

    Raises EvidenceError for a folder without records, and for a record that is damaged or altered.
    """
    import pandas as pd

    judge = _Judge()
    chosen = folders or (paths.RECORDS, paths.WORK / "records")
    found = (pair for folder in chosen for pair in records_below(folder, needed=bool(folders)))
    rows = [row for path, record in found for row in _rows(path, record, judge)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


class _Judge:
    """Tells whether a record is what today's sources imply. Plans are read once."""

    def __init__(self) -> None:
        self._plans: dict[str, Plan] = {}

    def current(self, record: Record) -> bool | None:
        """Return whether the record's fingerprint is today's; None for a cell that is not known here."""
        place = record.cell
        try:
            if place.protocol not in self._plans:
                self._plans[place.protocol] = Plan.load(place.protocol)
            plan = self._plans[place.protocol]
            cell = plan.at(place.dataset, place.category, place.method, place.seed)
        except ConfigError:
            return None
        return record.fingerprint == plan.fingerprint(cell, plan.data_digest(cell) or record.data_digest)


def _rows(path: Path, record: Record, judge: _Judge) -> Iterator[dict[str, Any]]:
    about = {
        **record.cell._asdict(),
        "evidence": "accepted" if path.resolve().is_relative_to(paths.RECORDS.resolve()) else "measured",
        "current": judge.current(record),
        "images_seen": images_seen(record),
        "fit_seconds": record.fit.seconds,
        "machine": record.hardware.line,
        "record": paths.shown(path),
        **{name: getattr(record, name) for name in ("weights_origin", "flaw", "fit_key", "fingerprint")},
        **{name: getattr(record, name) for name in ("data_digest", "commit", "dirty", "date")},
    }
    for number in record.measures if not record.failed else ():
        low, high = number.interval or (None, None)
        mine = {name: getattr(number, name) for name in ("policy", "value", "threshold", "note")}
        yield about | mine | {"measure": number.name, "low": low, "high": high}
