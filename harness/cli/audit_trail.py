"""Verbs of those who look behind numbers: trace, diff and archive."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from harness.config import load_config

Run = Callable[[argparse.Namespace], int]


def add_trace(parser: argparse.ArgumentParser) -> Run:
    """Print the chain from a published number to its records and to the command that measures it again.

    The exit code is 1 if the records do not support the number.
    """
    parser.add_argument("table", help="a table's id, or the path of its JSON or of any view")
    parser.add_argument("row")
    parser.add_argument("column")
    parser.add_argument("--protocol", default="paper", help="where the table is named by its id")
    return run_trace


def run_trace(arguments: argparse.Namespace) -> int:
    """Print the chain; 1 if a record behind the number is lost, altered or another one."""
    from harness.audit.trace import table_path, trace
    from harness.workflow.inputs import Grid

    path = table_path(arguments.table, arguments.protocol)
    lines, supported = trace(path, arguments.row, arguments.column, Grid(load_config()))
    print("\n".join(lines))
    return int(not supported)


def add_diff(parser: argparse.ArgumentParser) -> Run:
    """Compare two folders of records; exit with 1 if a difference is larger than chance explains."""
    parser.add_argument("before", type=Path, help="such as records")
    parser.add_argument("after", type=Path, help="such as work/records")
    parser.add_argument("--all", action="store_true", help="print differences within the yardstick too")
    return run_diff


def run_diff(arguments: argparse.Namespace) -> int:
    """Print the differences, grouped by the machines on which the two sides were measured."""
    from harness.audit.compare import OUTSIDE, SAME, WITHIN, differences, read_folder

    before, after = read_folder(arguments.before), read_folder(arguments.after)
    found = list(differences(before, after))
    for machines in dict.fromkeys(difference.machines for difference in found):
        group = [difference for difference in found if difference.machines == machines]
        counts = Counter(difference.verdict for difference in group)
        cells = len({difference.place for difference in group})
        print(
            f"{machines[0]} → {machines[1]}: {cells} cells; " + ", ".join(f"{n} {w}" for w, n in sorted(counts.items()))
        )
        hidden = {SAME} if arguments.all else {SAME, WITHIN}
        for difference in group:
            if difference.verdict not in hidden:
                print(f"    {difference.line}")
    for folder, own, others in ((arguments.before, before, after), (arguments.after, after, before)):
        alone = sum(not seeds.keys() & others.get(place, {}).keys() for place, seeds in own.items())
        if alone:
            print(f"only in {folder}: {alone} cells")
    return int(any(difference.verdict == OUTSIDE for difference in found))


def add_archive(parser: argparse.ArgumentParser) -> Run:
    """Pack a table with everything behind it as an RO-Crate."""
    parser.add_argument("result", help="such as results/table3_iou")
    parser.add_argument("--output", type=Path, help="default: work/archives/[<protocol>.]<table>.zip")
    return run_archive


def run_archive(arguments: argparse.Namespace) -> int:
    """Write the zip."""
    from harness.audit.archive import archive
    from harness.workflow.select import target

    protocol, table = target(arguments.result)
    path = Path(arguments.result).with_suffix(".json")
    name = f"{table}.zip" if protocol == "paper" else f"{protocol}.{table}.zip"
    output = arguments.output or Path("work", "archives", name)
    crate = archive(path, output, load_config())
    print(f"{output}: {len(crate['@graph'][1]['hasPart'])} files")
    return 0


def add_verdict(parser: argparse.ArgumentParser) -> Run:
    """Judge each claim of the paper by the accepted records; write the page and its JSON."""
    parser.add_argument(
        "--output", type=Path, help="the page; its JSON lies beside it (default: docs/results/verdict.md)"
    )
    return run_verdict


def run_verdict(arguments: argparse.Namespace) -> int:
    """Write both files and print the three sentences."""
    from harness.audit.verdict_page import PAGE, verdicts, write

    found = verdicts()
    write(found, arguments.output or PAGE)
    print("\n".join(found.sentences))
    return 0
