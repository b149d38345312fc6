"""Verbs of those who look behind numbers: trace, compare, archive and verdict."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from harness import paths
from harness.config import load_config

Run = Callable[[argparse.Namespace], int]


def add_trace(parser: argparse.ArgumentParser) -> Run:
    """Print the chain from a published number to its records and to the command that measures it again.

    The exit code is 1 if the records do not support the number.
    """
    parser.add_argument("table", help="a table's id, or the path of its JSON or of any view")
    parser.add_argument("row", help="a row's id or title, such as bottle")
    parser.add_argument("column", help="a column's id or title, such as cavga_r_u")
    parser.add_argument("--protocol", default="paper", help="where the table is named by its id")
    return run_trace


def run_trace(arguments: argparse.Namespace) -> int:
    """Print the chain; 1 if a record behind the number is lost, altered or another one."""
    from harness.audit.trace import table_path, trace
    from harness.tables.plans import Plans

    path = table_path(arguments.table, arguments.protocol)
    lines, supported = trace(path, arguments.row, arguments.column, Plans(load_config()))
    print("\n".join(lines))
    return int(not supported)


def add_compare(parser: argparse.ArgumentParser) -> Run:
    """Compare two methods, or two folders of records: paired differences over seeds and images.

    Of two folders also cell by cell; the exit code is then 1 if a difference is larger than chance explains.
    """
    parser.add_argument("left", help="a method's id or title, or a folder such as records")
    parser.add_argument("right", help="another method, or a folder such as work/records")
    parser.add_argument("--records", type=Path, default=paths.RECORDS, help="where two methods' records lie")
    parser.add_argument("--measures", help="only these, separated by commas (default: all)")
    parser.add_argument("--markdown", action="store_true", help="as Markdown, for a summary of CI")
    parser.add_argument("--all", action="store_true", help="of two folders: differences within the yardstick too")
    return run_compare


def run_compare(arguments: argparse.Namespace) -> int:
    """Print the comparison; 1 if two folders differ by more than chance explains."""
    from harness.audit import compare_text
    from harness.config import load_methods

    methods = load_methods()
    chosen = arguments.measures.split(",") if arguments.measures else None
    sides = arguments.left, arguments.right
    if any(Path(side).is_dir() and side not in methods for side in sides):
        found = compare_text.folders(Path(sides[0]), Path(sides[1]), methods, everything=arguments.all)
    else:
        found = compare_text.methods(*sides, methods, arguments.records)
    print(found.text(chosen, markdown=arguments.markdown))
    return int(found.too_large)


def add_archive(parser: argparse.ArgumentParser) -> Run:
    """Pack a table with everything behind it as an RO-Crate."""
    parser.add_argument("result", help="such as results/table3_iou")
    parser.add_argument("--output", type=Path, help="default: work/archives/[<protocol>.]<table>.zip")
    return run_archive


def run_archive(arguments: argparse.Namespace) -> int:
    """Write the zip."""
    from harness.audit.archive import archive
    from harness.workflow.targets import parts

    protocol, table = parts(arguments.result)
    path = Path(arguments.result).with_suffix(".json")
    name = f"{table}.zip" if protocol == "paper" else f"{protocol}.{table}.zip"
    output = arguments.output or Path("work", "archives", name)
    print(f"{output}: {archive(path, output, load_config())} files")
    return 0


def add_verdict(parser: argparse.ArgumentParser) -> Run:
    """Judge each claim of the paper by the accepted records; write the page, its JSON and README's sentences."""
    parser.add_argument(
        "--output", type=Path, help="only the page, here, with its JSON (default: docs/results/verdict.md and README)"
    )
    return run_verdict


def run_verdict(arguments: argparse.Namespace) -> int:
    """Write page, JSON and README, and print the three sentences."""
    from harness.audit.verdict_page import PAGE, verdicts, write

    found, readme = verdicts(), Path("README.md")
    write(found, arguments.output or PAGE, readme if arguments.output is None and readme.is_file() else None)
    print("\n".join(found.sentences))
    return 0
