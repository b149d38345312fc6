"""What a refusal to start a fit on the CPU says: how long it would take there."""

from __future__ import annotations

from dataclasses import replace

from harness.cell import Cell
from harness.estimate.estimate import Estimator
from harness.estimate.overview import Fit
from harness.estimate.run_history import Past
from harness.estimate.steps import Steps
from harness.estimate.timing import time_steps
from harness.records.plan import Plan
from harness.workflow.inputs import Grid


def cpu_time(plan: Plan, cell: Cell) -> str:
    """Return what a fit of the cell would take on this CPU and from what that is known, in a few words.

    Where no record tells, a few steps are timed; `cavga-bench plan` then knows them too.
    """
    grid = Grid(replace(plan.config, device="cpu", paper_on_cpu=True))
    estimator = Estimator(grid, Past(grid), Steps())
    fit = Fit(plan.key(cell), (cell,), fitted=False, exported=False)
    found = estimator.estimate(fit)
    if found is None:
        try:
            estimator.steps.add(grid, cell, time_steps(grid.plan(cell.protocol), cell))
        except Exception as error:  # whatever a method raises on made-up images: the refusal is what matters
            return f"a time that could not be measured ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        found = estimator.estimate(fit)
    return "a time that is not known" if found is None else f"about {duration(found.seconds)} ({found.source})"


def duration(seconds: float) -> str:
    """Return seconds as a person says them: in the largest unit of which there are two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} seconds"
