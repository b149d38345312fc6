"""Verbs that bring and prepare data: fetch and prepare."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmark.cli.common import add_cell, resolve
from benchmark.config import load_config, load_datasets
from benchmark.data.fetch import fetch
from benchmark.data.licences import Licences
from benchmark.data.manifest import failed_manifest
from benchmark.data.sources import raw_folder
from benchmark.errors import ConfigError, DataError
from benchmark.stages.marker import note_failure, write_marker
from benchmark.stages.prepare import prepare

Run = Callable[[argparse.Namespace], int]
WORK = Path("work")


def add_fetch(parser: argparse.ArgumentParser) -> Run:
    """Bring a dataset's raw files into work/raw, verified."""
    parser.add_argument("dataset", help="dataset id of config/datasets.yaml")
    parser.add_argument("--category", help="one category only")
    parser.add_argument(
        "--accept-licence", action="store_true", help="accept the dataset's licence (recorded with date)"
    )
    return run_fetch


def run_fetch(arguments: argparse.Namespace) -> int:
    """Fetch one dataset from the data root or its mirrors."""
    config = load_config()
    datasets = load_datasets(config)
    if arguments.dataset not in datasets:
        raise ConfigError(f"unknown dataset '{arguments.dataset}'; known: {', '.join(datasets)}")
    entry = datasets[arguments.dataset]
    unknown = set(config["licences_accepted"]) - set(datasets)
    if unknown:
        raise ConfigError(f"config.yaml: licences_accepted names '{min(unknown)}'; known: {', '.join(datasets)}")

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    licences = Licences(WORK / "licences.json", config["licences_accepted"], say)
    if arguments.accept_licence:
        licences.accept(entry)
    fetch(
        entry,
        Path(config["data_root"]) if config["data_root"] else None,
        raw_folder(entry, WORK),
        arguments.category,
        offline=config["offline"],
        licences=licences,
        say=say,
    )
    return 0


def add_prepare(parser: argparse.ArgumentParser) -> Run:
    """Turn one category's raw images into arrays and a manifest."""
    add_cell(parser, method=False)
    parser.add_argument("--size", type=_positive, help="side in pixels (default: the protocol's)")
    parser.add_argument("--cores", type=_positive, default=2)
    parser.add_argument(
        "--note-failure", action="store_true", help="leave a failed manifest instead of stopping (workflow)"
    )
    return run_prepare


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return int(text)


def run_prepare(arguments: argparse.Namespace) -> int:
    """Prepare one category."""
    plan, cell = resolve(arguments)
    size = arguments.size or plan.protocol["datasets"][cell.dataset]["size"]
    out = plan.data_folder(cell, size)
    entry = plan.datasets[cell.source]
    try:
        manifest = prepare(plan.protocol, cell.dataset, entry, cell.category, plan.work, out, size, arguments.cores)
    except DataError as error:
        if not arguments.note_failure:
            raise
        note_failure(plan.work, f"{cell.protocol}.{cell.source}.{cell.category}.{size}px", str(error))
        write_marker(out / "manifest.json", failed_manifest(entry, cell.category, str(error)))
        print(f"error: {error}", file=sys.stderr)
        return 0
    print(f"{out}: {json.dumps(manifest['counts'])}", file=sys.stderr)
    for warning in manifest["warnings"]:
        print(f"warning: {cell.source} {cell.category}: {warning}", file=sys.stderr)
    return 0
