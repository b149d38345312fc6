"""The verb before a build: plan."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from harness.config import load_config

if TYPE_CHECKING:
    from harness.cell import Cell
    from harness.estimate.estimate import Estimator
    from harness.estimate.overview import Fit
    from harness.estimate.summary import Summary

Run = Callable[[argparse.Namespace], int]


def add_plan(parser: argparse.ArgumentParser) -> Run:
    """Say what a build would find, run and cost, before anything is paid."""
    parser.add_argument("targets", nargs="+", help="results/[<protocol>/]<table, figure or all>, any suffix")
    parser.add_argument("--budget", metavar="TIME", help="choose the cells that fit into 90m, 8h or 2d")
    parser.add_argument("--measure", action="store_true", help="run a few real training steps where there is no record")
    return run_plan


def run_plan(arguments: argparse.Namespace) -> int:
    """Print the plan; with a budget, the command that builds what fits in."""
    from harness.estimate.budget import parse_budget
    from harness.estimate.disk import needs
    from harness.estimate.estimate import Estimator
    from harness.estimate.overview import Overview
    from harness.estimate.run_history import RunHistory
    from harness.estimate.show import console, show
    from harness.estimate.steps import Steps
    from harness.estimate.summary import Summary
    from harness.tables.plans import Plans
    from harness.workflow.inputs import RuleInputs
    from harness.workflow.targets import Targets

    budget = parse_budget(arguments.budget) if arguments.budget else None
    grid = Plans(load_config())
    asked = Targets(RuleInputs(grid))
    targets = {target: asked.cells(target) for target in arguments.targets}
    overview = Overview(grid, [cell for cells in targets.values() for cell in cells])
    estimator = Estimator(grid, RunHistory(grid), Steps())
    if arguments.measure:
        measure_unknown(overview.fits, estimator)
    summary = Summary(overview, estimator)
    show(summary, needs(overview.fits, estimator), console())
    if budget is not None:
        print(_within(summary, targets, budget))
    return 0


def measure_unknown(fits: list[Fit], estimator: Estimator) -> None:
    """Time real steps of one fit of every group of cells that no record tells of."""
    from harness.estimate.steps import group_of

    open_groups: dict[str, Fit] = {}
    for fit in fits:
        if estimator.estimate(fit) is None:
            open_groups.setdefault(group_of(estimator.grid, fit.cell), fit)
    for number, (group, fit) in enumerate(open_groups.items(), 1):
        print(f"measuring steps {number}/{len(open_groups)}: {group}", file=sys.stderr)
        _measure(fit, estimator)


def _measure(fit: Fit, estimator: Estimator) -> None:
    # Imported here: without --measure, planning needs no torch.
    from harness.estimate.timing import time_steps

    plan = estimator.grid.plan(fit.cell.protocol)
    try:
        step = time_steps(plan, fit.cell)
    except Exception as error:  # whatever a method raises on made-up images must not end the plan
        print(f"    not measured: {type(error).__name__}: {' '.join(str(error).split())[:200]}", file=sys.stderr)
        return
    estimator.steps.add(estimator.grid, fit.cell, step)
    if step.device != estimator.device(fit.cell.protocol):
        print(f"    measured on this machine's {step.device}; the protocol asks for a GPU", file=sys.stderr)


def _within(summary: Summary, targets: Mapping[str, Sequence[Cell]], budget: float) -> str:
    from harness.estimate.budget import choose, command

    fits = summary.overview.fits
    costs = {key: None if found is None else found.seconds for key, found in summary.estimates.items()}
    cells = choose(targets, fits, costs, budget)
    if not cells:
        unknown = sum(cost is None for cost in costs.values())
        why = f"; what {unknown} of {len(fits)} fits cost is not known: add --measure" if unknown else ""
        return f"nothing fits into the budget{why}" if fits else "nothing to run"
    keys = {fit.key for fit in fits if set(fit.cells) & set(cells)}
    chosen = [found for key in keys if (found := summary.estimates[key]) is not None]
    hours = sum(found.seconds for found in chosen) / 3600
    gpu = any(found.gpu_seconds for found in chosen)
    return f"within the budget: {len(cells)} cells, {len(keys)} fits, {hours:.2f} hours\n{command(cells, gpu)}"
