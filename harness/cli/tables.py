"""Verbs of those who read results: aggregate, render, show, check. None of them needs torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.common import add_protocol
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.tables.table import LayerTable, Table
    from harness.tables.view import Options

Run = Callable[[argparse.Namespace], int]


def add_aggregate(parser: argparse.ArgumentParser) -> Run:
    """Collect the records of one table into its JSON."""
    parser.add_argument("table", help="a table of tables/, such as table3_iou")
    add_protocol(parser)
    parser.add_argument("--output", type=Path, help="default: results/[<protocol>/]<table>.json")
    return run_aggregate


def run_aggregate(arguments: argparse.Namespace) -> int:
    """Write the JSON that is the truth of one table."""
    from harness.tables.aggregate import write_json

    write_json(_collected(arguments), arguments.output or _results(arguments.protocol) / f"{arguments.table}.json")
    return 0


def add_render(parser: argparse.ArgumentParser) -> Run:
    """Render a table's JSON as CSV, LaTeX or HTML."""
    parser.add_argument("source", type=Path, help="results/….json")
    parser.add_argument("--output", type=Path, help="its ending says the form (default: beside the JSON, all three)")
    add_options(parser)
    return run_render


def run_render(arguments: argparse.Namespace) -> int:
    """Write views of a table's JSON."""
    from harness.tables.render import FORMATS, render

    options = options_of(arguments)
    if arguments.output is None:
        for form in FORMATS:
            render(arguments.source, form, options=options)
        return 0
    render(arguments.source, arguments.output.suffix.removeprefix("."), arguments.output, options)
    return 0


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what renderings can be asked for."""
    parser.add_argument("--view", default="both", help="both (default), reproduced, published or difference")
    parser.add_argument("--spread", action="store_true", help="LaTeX: print the spread over seeds under each number")


def options_of(arguments: argparse.Namespace) -> Options:
    """Return what was asked for. Raises UserError for an unknown view."""
    from harness.tables.view import Options, parse_view

    return Options(parse_view(arguments.view), arguments.spread)


def add_show(parser: argparse.ArgumentParser) -> Run:
    """Print a table in the terminal."""
    parser.add_argument("table", help="a table's id, or the path of its JSON")
    add_protocol(parser)
    parser.add_argument("--view", default="both", help="both (default), reproduced, published or difference")
    parser.add_argument(
        "--measured", action="store_true", help="leave out rows and columns without a reproduced number"
    )
    return run_show


def run_show(arguments: argparse.Namespace) -> int:
    """Print the table."""
    from harness.tables.render import read_table
    from harness.tables.terminal import show
    from harness.tables.view import parse_view

    view, path = parse_view(arguments.view), Path(arguments.table)
    if path.suffix != ".json":
        path = _results(arguments.protocol) / f"{path}.json"
    if path.exists() or path.name != f"{arguments.table}.json":
        table = read_table(path)
    else:
        print(f"{path} is not built: this is what the records say now", file=sys.stderr)
        table = _collected(arguments)
    show(table, view=view, measured=arguments.measured)
    return 0


def _results(protocol: str) -> Path:
    return Path("results") if protocol == "paper" else Path("results", protocol)


def _collected(arguments: argparse.Namespace) -> Table | LayerTable:
    from harness.records.plan import Plan
    from harness.tables.aggregate import aggregate
    from harness.tables.cells import Evidence
    from harness.tables.spec import load_table

    spec = load_table(arguments.table)
    return aggregate(Evidence(Plan.load(arguments.protocol)), spec)


def add_check(parser: argparse.ArgumentParser) -> Run:
    """Exit with 1 if a built table holds a failed cell."""
    parser.add_argument("tables", nargs="+", type=Path, help="results/….json")
    return run_check


def run_check(arguments: argparse.Namespace) -> int:
    """Print every failure with its reason."""
    found = [line for path in arguments.tables for line in _failed_cells(path)]
    for line in found:
        print(f"failed: {line}", file=sys.stderr)
    return int(bool(found))


def _failed_cells(path: Path) -> list[str]:
    from harness.tables.render import read_table
    from harness.tables.table import Table

    if path.suffix != ".json":
        raise UserError(f"{path}: check reads the JSON of a table")
    table = read_table(path)
    cells = table.by_row() if isinstance(table, Table) else ()
    return [f"{path} {row.id}: {cell.reason}" for row, _, cell in cells if cell.state == "failed"]
