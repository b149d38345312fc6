"""The verb that looks at a build while it runs: watch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from harness.config import load_config

Run = Callable[[argparse.Namespace], int]


def add_watch(parser: argparse.ArgumentParser) -> Run:
    """Show the running fits with loss, images per second, time left and device."""
    parser.add_argument("--once", action="store_true", help="print once, as plain lines (so it is without a terminal)")
    parser.add_argument("--every", type=float, default=2.0, metavar="SECONDS", help="between two looks (default: 2)")
    return run_watch


def run_watch(arguments: argparse.Namespace) -> int:
    """Watch until Ctrl-C."""
    from functools import cache

    from rich.console import Console

    from harness.tables.plans import Plans
    from harness.workflow.runs import find_running
    from harness.workflow.watch import lines, watch

    cell_of = cache(Plans(load_config()).cell_of)
    console = Console()
    if arguments.once or not console.is_terminal:
        print("\n".join(lines(find_running(Path("work"), cell_of))))
        return 0
    with suppress(KeyboardInterrupt):
        watch(lambda: list(find_running(Path("work"), cell_of)), console, arguments.every)
    return 0
