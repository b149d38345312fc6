"""What several verbs share: the arguments that name a cell, and the plan that resolves them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
from collections.abc import Sequence

from harness.cell import Cell
from harness.errors import ConfigError
from harness.nearest import hint
from harness.records.plan import Plan
from harness.training.weights import DATA_ROOT
from harness.workflow.job import FAILED, Job, run_job


def add_cell(parser: argparse.ArgumentParser, *, method: bool = True) -> None:
    """Add the arguments that name a cell (without `method`: a category's data)."""
    add_protocol(parser)
    parser.add_argument("--dataset", required=True, help="dataset id of the paper, such as mvtec_ad")
    parser.add_argument("--category", required=True, help="category, scene or class id")
    if method:
        parser.add_argument("--method", required=True, help="method id of config/methods.yaml")
        parser.add_argument("--seed", type=int, default=0, help="one of the protocol's (default: 0)")


def add_protocol(parser: argparse.ArgumentParser, default: str = "paper") -> None:
    """Add the argument that names a protocol."""
    parser.add_argument(
        "--protocol", default=default, help=f"paper, lite, demo or one of your own (default: {default})"
    )


def add_note_failure(parser: argparse.ArgumentParser) -> None:
    """Add the flag with which a cell that fails is a result like others."""
    parser.add_argument(
        "--note-failure", action="store_true", help="exit with 0 when the cell fails: its status says why (workflow)"
    )


def run_cell(job: Job, arguments: argparse.Namespace) -> int:
    """Run a job; 1 when its cell failed, unless a failure is only to be noted."""
    status = run_job(job, by_hand=not arguments.note_failure)
    return int(not arguments.note_failure) if status == FAILED else status


def run_to_end(command: Sequence[str]) -> int:
    """Run a program and return its exit code. After Ctrl-C, which reaches it too, it is given the time to clear up.

    Raises KeyboardInterrupt when it has ended.
    """
    asked: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:  # in the background of a script
        signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        status = subprocess.run(command, check=False).returncode
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt
    return status


def check_dataset(plan: Plan, dataset: str) -> None:
    """Raise ConfigError that names the id to give for one that the protocol does not prepare, such as a stand-in's."""
    prepared, name = plan.protocol.datasets, plan.protocol.id
    if dataset in prepared:
        return
    replaced = [paper for paper in prepared if plan.stand_in(paper) == dataset]
    if replaced:
        remedy = f"it stands in for {replaced[0]} there; give --dataset {replaced[0]}"
    elif dataset in plan.datasets:
        remedy = f"add {dataset} to its stand_ins, or under its datasets with size and channels"
    else:
        remedy = hint(dataset, prepared)
    raise ConfigError(f"protocol '{name}' has no dataset '{dataset}'; {remedy}")


def resolve(arguments: argparse.Namespace) -> tuple[Plan, Cell]:
    """Return the plan and the cell that the arguments name. Raises ConfigError for unknown names."""
    plan = Plan.load(arguments.protocol)
    if plan.config.data_root:
        os.environ.setdefault(DATA_ROOT, plan.config.data_root)  # pretrained weights may lie there
    check_dataset(plan, arguments.dataset)
    method = getattr(arguments, "method", None) or next(iter(plan.methods))
    cell = plan.cell(arguments.dataset, arguments.category, method, getattr(arguments, "seed", 0))
    if hasattr(arguments, "seed") and cell.seed not in (seeds := plan.seeds(cell.dataset, method)):
        raise ConfigError(
            f"protocol '{cell.protocol}' measures {method} with seed {', '.join(map(str, seeds))}, not {cell.seed}; "
            f"give others by `seeds` in a protocol of your own, or by CAVGA_CONFIG='{{\"seeds\": [{cell.seed}]}}'"
        )
    return plan, cell
