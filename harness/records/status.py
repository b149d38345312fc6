"""The state of a cell, decided in one place: a number with its record, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.cell import Cell
from harness.records.plan import Plan
from harness.records.reading import read_record
from harness.records.record import Record

STATES = ("measured", "recorded", "stale", "not_measured", "unavailable", "failed", "not_applicable")
"""In this order: believed numbers, a number that today's sources no longer imply, and four kinds of none.

Not measured: there is no record (yet, or none accepted); unavailable: there cannot be one here, for lack of data.
"""


@dataclass(frozen=True)
class Status:
    """The state of one cell (dataset, category, method, seed).

    Attributes:
        state: One of `STATES`.
        reason: One line that says why; None for a number that is believed.
        record: The record; None where there is none.
        path: What the record's file is called (`paths.shown`); None where there is none.
    """

    state: str
    reason: str | None = None
    record: Record | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"unknown state '{self.state}'; known: {', '.join(STATES)}")
        if self.believed and self.record is None:
            raise ValueError(f"state '{self.state}' needs a record")

    @property
    def believed(self) -> bool:
        """Whether the record's numbers count: its fingerprint is the one that today's sources imply."""
        return self.state in ("measured", "recorded")


def status(plan: Plan, cell: Cell) -> Status:
    """Return what stands behind a cell now. Reads records; measures nothing.

    Accepted evidence goes before fresh, fresh before what is stale. Under the policy "recorded" the answer is the same
    on every machine, whatever data lie on it; under "fresh" what was accepted does not count.
    """
    if not plan.applies(cell):
        return Status("not_applicable", "the method is not meant for this category")
    if left_out := plan.left_out(cell):
        return Status("not_measured", left_out)
    policy = plan.config.evidence
    found = [s for s in (accepted(plan, cell), fresh(plan, cell) if policy != "recorded" else None) if s is not None]
    best = next((s for s in found if s.believed), found[-1] if found else None)
    if best is not None:
        return best
    if policy == "recorded":
        return Status("not_measured", "no accepted record; evidence: recorded measures nothing")
    reason = plan.unavailable(cell)
    return Status("not_measured", "no record yet") if reason is None else Status("unavailable", reason)


def accepted(plan: Plan, cell: Cell) -> Status | None:
    """Return what the accepted record says, recorded or stale; None where there is none, or none may be used."""
    if plan.config.evidence == "fresh":
        return None
    return _of_record(plan, cell, paths.RECORDS / cell.record, "recorded", "it was accepted")


def fresh(plan: Plan, cell: Cell) -> Status | None:
    """Return what the record that was measured here says; None where there is none."""
    return _of_record(plan, cell, plan.work / "records" / cell.record, "measured", "it was measured")


def _of_record(plan: Plan, cell: Cell, path: Path, good: str, since: str) -> Status | None:
    if not path.exists():
        return None
    record = read_record(path, cell)
    if record.failed:
        return Status("failed", record.reason, record, paths.shown(path))
    if record.fingerprint != plan.fingerprint(cell, plan.data_digest(cell) or record.data_digest):
        return Status("stale", f"sources or data changed since {since}", record, paths.shown(path))
    return Status(good, None, record, paths.shown(path))


def shown_by_record(plan: Plan, cell: Cell, found: Status) -> bool:
    """Tell whether figures show a cell by the pictures that its record carries: it is believed, its maps not here."""
    return found.believed and bool(found.record and found.record.overlays) and not plan.maps(cell).is_file()


def awaited(plan: Plan, cell: Cell) -> Path | None:
    """Return the record that a table has to wait for: an accepted one, one to be measured, or None."""
    if not plan.applies(cell) or plan.left_out(cell):
        return None
    known = accepted(plan, cell)
    if plan.config.evidence == "recorded" or (known is not None and known.believed):
        if known is None or known.path is None:
            return None
        path = paths.found(known.path)
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return None if plan.unavailable(cell) else plan.work / "records" / cell.record
