"""Verbs of those who keep evidence: accept and verify."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import paths
from harness.cell import Cell
from harness.cli.common import run_to_end
from harness.config import load_config

if TYPE_CHECKING:
    from harness.audit.rekey import Moved
    from harness.records.record import Record
    from harness.tables.plans import Plans

Run = Callable[[argparse.Namespace], int]


def add_accept(parser: argparse.ArgumentParser) -> Run:
    """Copy fresh records into records/ after validation, and show what changes."""
    parser.add_argument(
        "what", nargs="+", help="a target (results/lite/table3_iou) or a glob (lite/mvtec_ad/*/cavga_*)"
    )
    parser.add_argument("--replace", action="store_true", help="overwrite accepted records that differ")
    parser.add_argument("--allow-dirty", action="store_true", help="accept what was fitted from uncommitted sources")
    parser.add_argument("--allow-partial", action="store_true", help="accept records without a value a table asks for")
    parser.add_argument("--dry-run", action="store_true", help="judge and show only")
    parser.add_argument(
        "--rekey",
        action="store_true",
        help="after an edit that changes no number: fit a sample again, and move accepted records to today's key",
    )
    parser.add_argument(
        "--renamed-to",
        metavar="METHOD",
        help="a method's entry has another name now: move its accepted records, if their keys are those of METHOD",
    )
    return run_accept


def run_accept(arguments: argparse.Namespace) -> int:
    """Judge every chosen cell, copy the sound ones; 1 if any was refused."""
    from harness.audit.accept import Acceptance, Allowed
    from harness.audit.rename import rename
    from harness.tables.plans import Plans
    from harness.workflow.inputs import RuleInputs
    from harness.workflow.select import chosen_cells, places
    from harness.workflow.targets import Targets

    plans = Plans(load_config())
    targets = Targets(RuleInputs(plans))
    if arguments.renamed_to:
        former = dict.fromkeys(place for what in arguments.what for place in places(what, paths.RECORDS))
        return _move(rename(former, arguments.renamed_to, plans.plan), write=not arguments.dry_run)
    if arguments.rekey:
        wanted = [cell for what in arguments.what for cell in chosen_cells(what, paths.RECORDS, targets)]
        return _rekey(list(dict.fromkeys(wanted)), plans, write=not arguments.dry_run)
    allowed = Allowed(arguments.allow_dirty, arguments.allow_partial, arguments.replace)
    acceptance = Acceptance(plans, allowed)
    cells = dict.fromkeys(cell for what in arguments.what for cell in chosen_cells(what, acceptance.fresh, targets))
    judgements = [acceptance.judge(cell) for cell in cells]
    if not arguments.dry_run:
        acceptance.write(judgements)
    for judgement in judgements:
        if judgement.word in ("unchanged", "not measured"):
            continue
        where = judgement.cell.record.with_suffix("")
        print(f"{judgement.word} {where}{': ' + judgement.reason if judgement.reason else ''}")
        for change in judgement.changes:
            print(f"    {change.line}")
    counts = Counter(judgement.word for judgement in judgements)
    print(("would be: " if arguments.dry_run else "") + ", ".join(f"{n} {word}" for word, n in sorted(counts.items())))
    return int(counts["refused"] > 0)


def _rekey(cells: list[Cell], plans: Plans, *, write: bool) -> int:
    """Fit a sample again and move what may be moved; 1 if anything was refused."""
    from harness.audit.rekey import fresh_records, rekey

    def measure(samples: Sequence[Cell]) -> Mapping[Cell, Record]:
        targets = [str(paths.WORK / "records" / cell.record) for cell in samples]
        command = ["snakemake", "--snakefile", str(paths.ROOT / "Snakefile"), "--cores", "1"]
        run_to_end([*command, "--config", "evidence=fresh", "--", *targets])
        return fresh_records(samples, paths.WORK / "records")

    return _move(rekey(cells, plans.plan, measure), write=write)


def _move(moved: Sequence[Moved], *, write: bool) -> int:
    """Write what was moved, and say what became of each record; 1 if any was refused."""
    for found in moved:
        if write:
            found.write()
        if found.word != "unchanged":
            print(f"{found.word} {found.cell.record.with_suffix('')}{': ' + found.reason if found.reason else ''}")
    counts = Counter(found.word for found in moved)
    print(("" if write else "would be: ") + ", ".join(f"{n} {word}" for word, n in sorted(counts.items())))
    return int(counts["refused"] > 0)


def add_verify(parser: argparse.ArgumentParser) -> Run:
    """Check every record, build the committed results again from the records, and judge the claims."""
    parser.add_argument("results", nargs="*", type=Path, help="docs/results/….json (default: all that git knows)")
    return run_verify


def run_verify(arguments: argparse.Namespace) -> int:
    """Print faults, notes and a summary; 1 if there is any fault."""
    from harness.audit.verify import verify

    report = verify(arguments.results)
    for line in report.faults:
        print(f"fault: {line}", file=sys.stderr)
    for line in [*(f"stale: {line}" for line in report.stale), *report.notes]:
        print(line)
    print(report.summary)
    return int(bool(report.faults))


def add_publish(parser: argparse.ArgumentParser) -> Run:
    """Copy built tables that follow from accepted records to docs/results, where they are committed."""
    parser.add_argument("protocol", nargs="?", default="lite", help="whose tables (default: lite)")
    return run_publish


def run_publish(arguments: argparse.Namespace) -> int:
    """Print what was copied and what was not; 1 if anything was refused."""
    from harness.audit.publish import publish

    refused = 0
    for path, why in publish(arguments.protocol):
        refused += why is not None
        print(f"{'published' if why is None else 'refused'} {path.stem}{'' if why is None else f': {why}'}")
    return int(refused > 0)
