"""What a build of some targets would find and do: the state of every cell, and the fits that are still to run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from harness.cell import Cell
from harness.records.status import STATES, status
from harness.tables.plans import Plans
from harness.workflow.job_status import read_status

TO_MEASURE = "to be measured"
ALL_STATES = (*(state for state in STATES if state != "not_applicable"), TO_MEASURE)


@dataclass(frozen=True)
class PlannedCell:
    """A cell's state, one of `ALL_STATES`, why, and whether the next build measures it."""

    cell: Cell
    state: str
    reason: str | None
    runs: bool


@dataclass(frozen=True)
class Fit:
    """One fit that serves the cells that wait for it; `fitted`: weights and maps are there already."""

    key: str
    cells: tuple[Cell, ...]
    fitted: bool

    @property
    def cell(self) -> Cell:
        """Return the cell that stands for all of them."""
        return self.cells[0]


class Overview:
    """The cells of some targets, each once."""

    def __init__(self, grid: Plans, cells: Iterable[Cell]) -> None:
        self.grid = grid
        self.cells = list(dict.fromkeys(cells))

    @cached_property
    def statuses(self) -> list[PlannedCell]:
        """Return every cell's status, in the order of the targets."""
        return [self._status(cell) for cell in self.cells]

    def _status(self, cell: Cell) -> PlannedCell:
        plan = self.grid.plan(cell.protocol)
        evidence = status(plan, cell)
        missing = plan.unavailable(cell)
        may_run = plan.config.evidence != "recorded" and missing is None
        if evidence.believed:
            return PlannedCell(cell, evidence.state, None, False)
        if evidence.state == "not_measured" and may_run:
            return PlannedCell(cell, TO_MEASURE, None, True)
        return PlannedCell(cell, evidence.state, evidence.reason or missing, may_run)

    @cached_property
    def fits(self) -> list[Fit]:
        """Return the fits behind the cells that the next build measures; methods with equal settings share one."""
        waiting: dict[str, list[Cell]] = {}
        for one in self.statuses:
            if one.runs:
                waiting.setdefault(self.grid.plan(one.cell.protocol).key(one.cell), []).append(one.cell)
        return [self._fit(key, cells) for key, cells in waiting.items()]

    def _fit(self, key: str, cells: list[Cell]) -> Fit:
        plan, cell = self.grid.plan(cells[0].protocol), cells[0]
        fitted = read_status(plan.status_file(cell)) or {}
        manifest = read_status(plan.data_folder(cell) / "manifest.json") or {}
        same = fitted.get("status") == "measured" and fitted.get("data_digest") == manifest.get("digest")
        return Fit(key, tuple(cells), same and plan.maps(cell).exists())
