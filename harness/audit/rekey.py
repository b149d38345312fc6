"""Evidence after a change of code that changes no number: a sample is fitted again, and equal bytes move the rest.

A record's keys hold code and inputs apart. Where the inputs are today's and only the code is another, the record may
get today's key once the quickest fit of its method has given the same maps and measures under today's code.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import paths
from harness.audit.compare import changes
from harness.cell import Cell
from harness.records.plan import Plan
from harness.records.provenance import commit
from harness.records.reading import read_checked
from harness.records.record import Record, Rekeying

Measure = Callable[[Sequence[Cell]], Mapping[Cell, Record]]
"""Fits and measures cells under today's sources and returns their fresh records."""


@dataclass(frozen=True)
class Moved:
    """What becomes of one accepted record: "rekeyed", "renamed", "refused" or "unchanged", and why.

    `former` is the file that the record leaves when it is renamed.
    """

    cell: Cell
    word: str
    reason: str | None = None
    record: Record | None = None
    former: Path | None = None

    def write(self) -> None:
        """Write the accepted record with today's key or name; nothing where it was not moved."""
        if self.record is not None:
            self.record.write(paths.RECORDS / self.cell.record)
        if self.former is not None:
            self.former.unlink()


def rekey(cells: Iterable[Cell], plan_of: Callable[[str], Plan], measure: Measure) -> list[Moved]:
    """Judge the accepted records of `cells`; nothing is written but what `measure` writes.

    One fit a method and protocol is measured again: the quickest, by its own record.
    """
    moved: list[Moved] = []
    groups: dict[tuple[str, str], dict[Cell, Record]] = {}
    for cell in cells:
        path = paths.RECORDS / cell.record
        if not path.exists():
            continue
        record, today = read_checked(path, cell), plan_of(cell.protocol).keys(cell)
        if record.keys == today:
            moved.append(Moved(cell, "unchanged"))
        elif (record.keys.fit_inputs, record.keys.measuring_inputs) != (today.fit_inputs, today.measuring_inputs):
            moved.append(Moved(cell, "refused", "its settings are others today, not the code alone; measure it again"))
        else:
            groups.setdefault((cell.protocol, cell.method), {})[cell] = record
    samples = [min(group, key=lambda cell: group[cell].fit.seconds) for group in groups.values()]
    fresh = measure(samples) if samples else {}
    for sample, group in zip(samples, groups.values(), strict=True):
        moved += _moved(sample, fresh.get(sample), group, plan_of)
    return moved


def _moved(
    sample: Cell, fresh: Record | None, group: Mapping[Cell, Record], plan_of: Callable[[str], Plan]
) -> list[Moved]:
    """Return what becomes of a method's records after its sample was measured again."""
    difference = _difference(group[sample], fresh)
    if difference is not None:
        where = sample.record.with_suffix("")
        return [Moved(cell, "refused", f"{where}, measured again, {difference}") for cell in group]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    shown_by = (str(sample.record.with_suffix("")),)
    found = []
    for cell, record in group.items():
        note = Rekeying(record.fingerprint, now, commit()[0], shown_by)
        keys = plan_of(cell.protocol).keys(cell)
        found.append(Moved(cell, "rekeyed", None, replace(record, keys=keys, rekeyed=(*record.rekeyed, note))))
    return found


def _difference(before: Record, after: Record | None) -> str | None:
    """Return how a record measured again differs; None where every number is the same."""
    if after is None or after.failed:
        return "failed" if after is None else f"failed: {after.reason}"
    if before.data_digest != after.data_digest:
        return "has other data"
    differing = changes(before, after)
    if differing:
        return f"gives other numbers: {differing[0].line}"
    if (before.maps_digest, before.images, before.curve) != (after.maps_digest, after.images, after.curve):
        return "gives other maps"
    return None


def fresh_records(cells: Sequence[Cell], folder: Path) -> dict[Cell, Record]:
    """Return the fresh records of `cells` that lie in `folder`."""
    return {cell: read_checked(folder / cell.record, cell) for cell in cells if (folder / cell.record).exists()}
