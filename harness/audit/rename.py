"""A method that gets another name keeps its records: those whose fit and measures have the same keys."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable
from dataclasses import replace

from harness import paths
from harness.audit.rekey import Moved
from harness.cell import CellKey
from harness.records.plan import Plan
from harness.records.provenance import commit
from harness.records.reading import read_checked
from harness.records.record import Rekeying


def rename(places: Iterable[CellKey], name: str, plan_of: Callable[[str], Plan]) -> list[Moved]:
    """Judge moving accepted records to the method `name`; nothing is written.

    A record that is today's evidence under its former name too stays there as well. Raises ConfigError where there is
    no method of that name.
    """
    return [_renamed(place, name, plan_of(place.protocol)) for place in places]


def _renamed(place: CellKey, name: str, plan: Plan) -> Moved:
    """Return what becomes of one record under its new name; there may be no method of the former name any more."""
    cell = plan.at(place.dataset, place.category, name, place.seed)
    former = replace(cell, method=place.method)
    path = paths.RECORDS / former.record
    record, was = read_checked(path, former), str(former.record.with_suffix(""))
    if (paths.RECORDS / cell.record).exists():
        return Moved(cell, "refused", "it has an accepted record already; delete that first if this one is meant")
    if record.keys != plan.keys(cell):
        return Moved(cell, "refused", f"its fit or its measures are others than those of {was}; measure it")
    holds = former.method in plan.methods and plan.keys(former) == record.keys
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    note = Rekeying(record.fingerprint, now, commit()[0], (was,))
    moved = replace(record, method=cell.method, rekeyed=(*record.rekeyed, note))
    return Moved(cell, "renamed", f"was {was}", moved, None if holds else path)
