"""What several verbs share: the arguments that name a cell, and the plan that resolves them."""

from __future__ import annotations

import argparse

from benchmark.plan.plan import Cell, Plan


def add_cell(parser: argparse.ArgumentParser, *, method: bool = True) -> None:
    """Add the arguments that name a cell (without `method`: a category's data)."""
    parser.add_argument("--protocol", default="paper", help="paper, lite, demo or one of your own (default: paper)")
    parser.add_argument("--dataset", required=True, help="dataset id of the paper, such as mvtec_ad")
    parser.add_argument("--category", required=True, help="category, scene or class id")
    if method:
        parser.add_argument("--method", required=True, help="method id of config/methods.yaml")
        parser.add_argument("--seed", type=int, default=0)


def resolve(arguments: argparse.Namespace) -> tuple[Plan, Cell]:
    """Return the plan and the cell that the arguments name. Raises ConfigError for unknown names."""
    plan = Plan.load(arguments.protocol)
    method = getattr(arguments, "method", None) or next(iter(plan.methods))
    seed = getattr(arguments, "seed", 0)
    return plan, plan.cell(arguments.dataset, arguments.category, method, seed)
