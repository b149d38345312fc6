"""Verbs that let results travel: push and pull."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.workflow.share import Share

Run = Callable[[argparse.Namespace], int]


def add_push(parser: argparse.ArgumentParser) -> Run:
    """Copy what was measured here to a store: fits with their maps, and records."""
    _add(parser)
    parser.add_argument("--replace", action="store_true", help="write fits again that are there already")
    return run_push


def add_pull(parser: argparse.ArgumentParser) -> Run:
    """Copy from a store what today's sources imply: fits with their maps, and records; nothing is trained."""
    _add(parser)
    return run_pull


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("address", help="a folder, an address of fsspec such as s3://bucket/cavga, or (pull) https://…")
    parser.add_argument("targets", nargs="*", help="only their cells, such as results/lite/table3_iou (default: all)")
    parser.add_argument("--records", action="store_true", help="records only: tables need no more")


def run_push(arguments: argparse.Namespace) -> int:
    """Copy, and say what became of what."""
    from harness.workflow.push import push_fits, push_records

    share = _share(arguments, writes=True)
    if not arguments.records:
        push_fits(share, replace=arguments.replace)
    push_records(share)
    return _end(share)


def run_pull(arguments: argparse.Namespace) -> int:
    """Copy, and say what became of what; 1 if something in the store is damaged."""
    from harness.workflow.pull import check_idle, forget, pull_fits, pull_records

    check_idle()
    share = _share(arguments)
    share.store.require_content()
    try:
        if not arguments.records:
            pull_fits(share)
        pull_records(share)
    finally:
        forget(share.arrived)
    return _end(share)


def _share(arguments: argparse.Namespace, *, writes: bool = False) -> Share:
    from harness.config import load_config
    from harness.tables.plans import Plans
    from harness.workflow.inputs import RuleInputs
    from harness.workflow.share import Share
    from harness.workflow.store import Store
    from harness.workflow.targets import Targets

    plans = Plans(load_config())
    targets = Targets(RuleInputs(plans))
    cells = [cell for target in arguments.targets for cell in targets.cells(target)]
    return Share(Store(arguments.address, writes=writes), plans, cells if arguments.targets else None)


def _end(share: Share) -> int:
    for fault in share.faults:
        print(f"fault: {share.store.address}: {fault}", file=sys.stderr)
    print(share.text())
    return int(bool(share.faults))
