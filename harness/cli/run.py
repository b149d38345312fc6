"""The verb that builds a subset by name: run."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence

from harness.cell import Cell
from harness.cli.common import add_protocol, run_to_end
from harness.config import load_config
from harness.errors import ConfigError
from harness.nearest import hint
from harness.paths import ROOT

Run = Callable[[argparse.Namespace], int]


def add_run(parser: argparse.ArgumentParser) -> Run:
    """Build some cells of a table with Snakemake, and print the table as far as it is measured."""
    parser.add_argument("--table", required=True, help="a table of tables/, such as table3_iou")
    parser.add_argument("--methods", type=_names, metavar="A,B", help="some of its methods (default: all)")
    parser.add_argument("--categories", type=_names, metavar="A,B", help="some of its categories (default: all)")
    parser.add_argument("--seeds", type=_numbers, metavar="0-2", help="such as 0-2 or 0,3 (default: the protocol's)")
    add_protocol(parser, "lite")
    parser.add_argument("--cores", default="all", help="cores that Snakemake uses (default: all)")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    return run_run


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise argparse.ArgumentTypeError(f"'{text}' names no seeds; write 0-2 or 0,3")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def run_run(arguments: argparse.Namespace) -> int:
    """Run Snakemake on the records of the chosen cells; its exit code is passed on."""
    from harness.records.status import awaited
    from harness.tables.aggregate import aggregate
    from harness.tables.cells import Evidence
    from harness.tables.plans import Plans
    from harness.tables.terminal import show

    if arguments.seeds is not None:
        given = json.loads(os.environ.get("CAVGA_CONFIG", "{}"))
        os.environ["CAVGA_CONFIG"] = json.dumps(given | {"seeds": arguments.seeds})
    plans = Plans(load_config())
    plan, spec = plans.plan(arguments.protocol), plans.spec(arguments.table)
    cells = chosen(plans.cells(arguments.protocol, arguments.table), arguments.methods, arguments.categories)
    for reason in dict.fromkeys(reason for cell in cells if (reason := plan.unavailable(cell))):
        print(f"not here: {reason}", file=sys.stderr)
    waited = [path for cell in cells if (path := awaited(plan, cell)) is not None]
    paths = dict.fromkeys(str(path) for path in waited if path.is_relative_to(plan.work))  # others are accepted already
    status = _snakemake(arguments, list(paths)) if paths else 0
    if not arguments.dry_run:
        show(aggregate(Evidence(plans.plan(arguments.protocol)), spec))
    return status


def chosen(cells: Iterable[Cell], methods: Sequence[str] | None, categories: Sequence[str] | None) -> list[Cell]:
    """Return the cells of some methods and categories. Raises ConfigError with the nearest name for an unknown one."""
    cells = list(cells)
    for what, asked, known in (
        ("method", methods, dict.fromkeys(cell.method for cell in cells)),
        ("category", categories, dict.fromkeys(cell.category for cell in cells)),
    ):
        for name in asked or ():
            if name not in known:
                raise ConfigError(f"this table has no {what} '{name}'; {hint(name, known)}")
    found = [
        cell
        for cell in cells
        if (methods is None or cell.method in methods) and (categories is None or cell.category in categories)
    ]
    if cells and not found:
        asked = f"{', '.join(methods or ['any method'])} on {', '.join(categories or ['any category'])}"
        raise ConfigError(f"this table has no cell of {asked}; leave out --categories to see where it is measured")
    return found


def _snakemake(arguments: argparse.Namespace, targets: list[str]) -> int:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", arguments.cores]
    command += ["--dry-run"] if arguments.dry_run else ["--quiet", "rules", "progress"]
    given = json.loads(os.environ.get("CAVGA_CONFIG", "{}"))
    if given:
        command += ["--config", *(f"{key}={json.dumps(value)}" for key, value in given.items())]
    return run_to_end([*command, "--", *targets])
