"""Accepting: the only way into records/. Each fresh record is judged on its own; the sound ones are copied."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.audit.compare import Change, changes
from harness.cell import Cell
from harness.data.atomic import atomic_file
from harness.errors import EvidenceError
from harness.records.reading import read_checked
from harness.records.record import Record
from harness.tables.plans import Plans
from harness.tables.required import RequiredMeasures


@dataclass(frozen=True)
class Allowed:
    """What the user lets pass."""

    dirty: bool = False
    partial: bool = False
    replace: bool = False


@dataclass(frozen=True)
class Judgement:
    """What becomes of one fresh record.

    Attributes:
        word: "new", "unchanged", "replaced", "refused" or "not measured".
        reason: Why it was refused; else what a reader has to know, or None.
        changes: The measures that differ from the record accepted before.
    """

    cell: Cell
    word: str
    reason: str | None = None
    changes: tuple[Change, ...] = ()

    @property
    def copies(self) -> bool:
        """Whether the fresh record goes into records/."""
        return self.word in ("new", "replaced")


class Acceptance:
    """Judges and copies fresh records. Paths are relative to the current folder."""

    def __init__(self, grid: Plans, allowed: Allowed, work: Path = Path("work")) -> None:
        self.grid, self.allowed, self.fresh = grid, allowed, work / "records"
        self._demand = RequiredMeasures(grid)

    def judge(self, cell: Cell) -> Judgement:
        """Return what becomes of a cell's fresh record; nothing is written."""
        path = self.fresh / cell.record
        if not path.exists():
            return Judgement(cell, "not measured")
        try:
            record = read_checked(path, cell)
        except EvidenceError as error:
            return Judgement(cell, "refused", str(error))
        refusal = self._refusal(cell, record)
        return Judgement(cell, "refused", refusal) if refusal else self._against_accepted(cell, record, path)

    def write(self, judgements: Iterable[Judgement]) -> None:
        """Copy what was judged sound, each file atomically, byte for byte."""
        for judgement in judgements:
            if judgement.copies:
                target = paths.RECORDS / judgement.cell.record
                with atomic_file(target) as temporary:
                    shutil.copyfile(self.fresh / judgement.cell.record, temporary)

    def _refusal(self, cell: Cell, record: Record) -> str | None:
        """Return the first reason not to accept a record, or None."""
        plan = self.grid.plan(cell.protocol)
        if record.failed:
            return f"failed: {record.reason}"
        if cell.source != cell.dataset or plan.datasets[cell.source].access == "embedded":
            return f"measured on {cell.source}, a stand-in: it is no evidence on {cell.dataset}"
        if record.dirty and not self.allowed.dirty:
            return "fitted from uncommitted sources; commit and measure again, or pass --allow-dirty"
        digest = plan.data_digest(cell) or record.data_digest
        if digest != record.data_digest:
            return "stale: the prepared data have another digest than those it was measured on; measure again"
        if record.fingerprint != plan.fingerprint(cell, digest):
            return "stale: today's sources imply another fingerprint; measure again, or check out its commit"
        missing = self._demand.missing(cell, record)
        if missing and not self.allowed.partial:
            return f"partial: {'; '.join(missing)} (--allow-partial accepts it all the same)"
        return None

    def _against_accepted(self, cell: Cell, record: Record, path: Path) -> Judgement:
        """Return the judgement of a sound record in view of the one that was accepted before."""
        here = self.grid.plan(cell.protocol).data_digest(cell) is not None
        note = None if here else "the prepared data are not here: their digest could not be checked"
        accepted = paths.RECORDS / cell.record
        if not accepted.exists():
            return Judgement(cell, "new", note)
        if accepted.read_bytes() == path.read_bytes():
            return Judgement(cell, "unchanged")
        try:
            found = tuple(changes(read_checked(accepted, cell), record))
            difference = f"{len(found)} measures differ" if found else "the same numbers from another run"
        except EvidenceError as error:
            found, difference = (), f"the accepted one cannot be read: {error}"
        if not self.allowed.replace:
            return Judgement(cell, "refused", f"another record was accepted before: {difference}; --replace", found)
        return Judgement(cell, "replaced", "; ".join(filter(None, (difference, note))), found)
