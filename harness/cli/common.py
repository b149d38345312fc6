"""What several verbs share: the arguments that name a cell, and the plan that resolves them."""

from __future__ import annotations

import argparse

from harness.cell import Cell
from harness.errors import ConfigError
from harness.nearest import hint
from harness.records.plan import Plan


def add_cell(parser: argparse.ArgumentParser, *, method: bool = True) -> None:
    """Add the arguments that name a cell (without `method`: a category's data)."""
    parser.add_argument("--protocol", default="paper", help="paper, lite, demo or one of your own (default: paper)")
    parser.add_argument("--dataset", required=True, help="dataset id of the paper, such as mvtec_ad")
    parser.add_argument("--category", required=True, help="category, scene or class id")
    if method:
        parser.add_argument("--method", required=True, help="method id of config/methods.yaml")
        parser.add_argument("--seed", type=int, default=0)


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
    check_dataset(plan, arguments.dataset)
    method = getattr(arguments, "method", None) or next(iter(plan.methods))
    seed = getattr(arguments, "seed", 0)
    return plan, plan.cell(arguments.dataset, arguments.category, method, seed)
