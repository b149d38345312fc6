"""Steps that `cavga-bench plan --measure` timed on this machine: work/steps.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.cell import Cell
from harness.data.atomic import write_text
from harness.estimate.run_history import tested
from harness.tables.plans import Plans
from harness.training.schedule import Training
from harness.workflow.job_status import read_status

FILE = Path("work", "steps.json")


@dataclass(frozen=True)
class Step:
    """How long pieces of one fit take.

    Attributes:
        key: the fit's key; another one means that sources or settings changed since.
        device: "cpu" or "cuda".
        loop: whether the method trains in steps; if not, its fit grows with the number of images.
        fixed: seconds that a fit takes beside its steps (or images).
        each: seconds per step (or per training image).
        export: seconds per test image.
        weights: bytes of the learned weights.
    """

    key: str
    device: str
    loop: bool
    fixed: float
    each: float
    export: float
    weights: int


def group_of(grid: Plans, cell: Cell) -> str:
    """Return what cells have in common that cost the same per image: protocol, detector's method, kind and size."""
    plan = grid.plan(cell.protocol)
    settings = plan.settings(cell)
    return f"{cell.protocol} {cell.method} {plan.kind(cell)} {settings.size}px {settings.channels}"


class Steps:
    """The measured steps by group of cells and device."""

    def __init__(self, path: Path = FILE) -> None:
        self.path = path
        self._known: dict[str, Any] = read_status(path) or {}

    def find(self, grid: Plans, cell: Cell, device: str) -> Step | None:
        """Return what was measured for the cell's group under today's sources."""
        entry = self._known.get(f"{group_of(grid, cell)} {device}")
        if entry is None:
            return None
        plan = grid.plan(cell.protocol)
        try:
            timed, step = plan.cell(*entry["cell"]), Step(**entry["step"])
        except (KeyError, TypeError):
            return None
        return step if plan.key(timed) == step.key else None

    def add(self, grid: Plans, cell: Cell, step: Step) -> None:
        """Keep a measurement."""
        place = [cell.dataset, cell.category, cell.method, cell.seed]
        self._known[f"{group_of(grid, cell)} {step.device}"] = {"cell": place, "step": asdict(step)}
        write_text(self.path, json.dumps(self._known, indent=1, sort_keys=True) + "\n")

    def seconds(
        self, grid: Plans, cell: Cell, device: str, trained: int | None, counts: Mapping[str, int] | None
    ) -> tuple[float, float] | None:
        """Return the seconds of the cell's fit and export; None if not measured, or if its images are not known."""
        step = self.find(grid, cell, device)
        if step is None or trained is None or counts is None:
            return None
        training = Training.from_config(grid.plan(cell.protocol).settings(cell).training)
        pieces = training.total_steps(trained) if step.loop else trained
        return step.fixed + step.each * pieces, step.export * tested(counts)
