"""The verb that tells trackers of finished records: track."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

Run = Callable[[argparse.Namespace], int]


def add_track(parser: argparse.ArgumentParser) -> Run:
    """Write records with their curves, settings, measures and overlays to a tracker; what is there already stays."""
    from harness.trackers.sinks import TRACKERS

    parser.add_argument("--to", required=True, choices=TRACKERS, help="which tracker; each is an extra to install")
    parser.add_argument("address", help="a folder, or for MLflow a tracking URI such as http://host:5000")
    parser.add_argument("folders", nargs="*", type=Path, help="default: records and work/records")
    return run_track


def run_track(arguments: argparse.Namespace) -> int:
    """Write what is new, and say what became of what."""
    from harness.trackers.find import find_runs
    from harness.trackers.sinks import open_sink, track

    outcomes = track(find_runs(*arguments.folders), open_sink(arguments.to, arguments.address))
    counts = [f"{n} run{'' if n == 1 else 's'} {outcome}" for outcome, n in sorted(outcomes.items())]
    print(f"{arguments.address}: {', '.join(counts) or 'no records to track'}")
    return 0
