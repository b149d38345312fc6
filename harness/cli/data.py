"""Verbs that bring and prepare data: fetch and prepare."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from harness.cell import Cell
from harness.cli.common import add_cell, add_note_failure, resolve, run_cell
from harness.config import load_config, load_datasets
from harness.data.atomic import make_folder, write_text
from harness.data.fetch import fetch
from harness.data.licences import Licences
from harness.data.manifest import failed_manifest
from harness.data.prepare import prepare
from harness.data.preparing import preparing
from harness.data.sources import raw_folder
from harness.errors import ConfigError, DataError
from harness.records.plan import Plan
from harness.training.progress import Progress
from harness.workflow.job import Job, Status
from harness.workflow.job_status import exclusive, force_to_disk, read_status, write_status
from harness.workflow.recipe import RECIPE, Recipes

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
    dataset = datasets[arguments.dataset]
    unknown = set(config.licences_accepted) - set(datasets)
    if unknown:
        raise ConfigError(f"config.yaml: licences_accepted names '{min(unknown)}'; known: {', '.join(datasets)}")

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    licences = Licences(WORK / "licences.json", config.licences_accepted, say)
    if arguments.accept_licence:
        licences.accept(dataset)
    fetch(
        dataset,
        Path(config.data_root) if config.data_root else None,
        raw_folder(dataset, WORK),
        arguments.category,
        offline=config.offline,
        licences=licences,
        say=say,
    )
    os.sync()  # thousands of files at once; Snakemake counts them as fetched from now on
    return 0


def add_prepare(parser: argparse.ArgumentParser) -> Run:
    """Turn one category's raw images into arrays and a manifest."""
    add_cell(parser, method=False)
    parser.add_argument("--size", type=_positive, help="side in pixels (default: the protocol's)")
    parser.add_argument("--cores", type=_positive, default=2, help="threads that decode (default: 2)")
    add_note_failure(parser)
    return run_prepare


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 1 on")
    return int(text)


def run_prepare(arguments: argparse.Namespace) -> int:
    """Prepare one category. With --note-failure whatever goes wrong with its images is left as a failed manifest."""
    plan, cell = resolve(arguments)
    size = arguments.size or plan.protocol.datasets[cell.dataset].size
    return run_cell(prepare_job(plan, cell, size, arguments.cores), arguments)


def prepare_job(plan: Plan, cell: Cell, size: int, cores: int) -> Job:
    """Return the job that prepares a category at a size."""
    out = plan.data_folder(cell, size)

    def compute() -> Status:
        _prepare(plan, cell, size, cores)
        return {"status": "measured"}

    def finish(status: Status) -> None:
        if status["status"] == "failed":
            manifest = failed_manifest(plan.dataset(cell), cell.category, status["reason"])
            write_status(out / "manifest.json", manifest)

    name = f"{cell.protocol}.{cell.source}.{cell.category}.{size}px"
    return Job(f"prepare {name}", name, plan.work, _lock(out), compute, finish)


def _prepare(plan: Plan, cell: Cell, size: int, cores: int) -> None:
    out, dataset = plan.data_folder(cell, size), plan.dataset(cell)
    recipe = Recipes(plan.config).of(plan, cell, size)
    if "error" in (read_status(out / "manifest.json") or {}):
        (out / "manifest.json").unlink()  # of an earlier failure: it would be taken for what was prepared
    with Progress("prepare").steps(f"{dataset.id} {cell.category}") as advance:
        how = preparing(plan.protocol, cell.dataset, size)
        manifest = prepare(dataset, cell.category, raw_folder(dataset, plan.work), out, how, cores, advance)
    write_text(out / RECIPE, recipe)
    force_to_disk(out)
    print(f"{out}: {json.dumps(manifest.counts)}", file=sys.stderr)
    for warning in manifest.warnings:
        print(f"warning: {cell.source} {cell.category}: {warning}", file=sys.stderr)


def restore_data(plan: Plan, cell: Cell, size: int) -> None:
    """Prepare a category again, in place, if one of its arrays is gone.

    Raises DataError when that gives other data: the manifest is then new, and the next build trains on it.
    """
    out = plan.data_folder(cell, size)
    if not missing_arrays(out):
        return
    with exclusive(_lock(out), f"prepare {out}"):
        lost, before = missing_arrays(out), read_status(out / "manifest.json") or {}
        if not lost:
            return
        print(f"{out}: {', '.join(lost)} missing; preparing again", file=sys.stderr)
        (out / "state.txt").unlink(missing_ok=True)
        _prepare(plan, cell, size, cores=1)
        if (read_status(out / "manifest.json") or {}).get("digest") != before.get("digest"):
            raise DataError(f"{out}: prepared again, and the data are other ones than before; build again")


def missing_arrays(folder: Path) -> list[str]:
    """Return the arrays that prepared data in `folder` lack; none where preparing itself failed."""
    manifest = read_status(folder / "manifest.json")
    if manifest is None or "error" in manifest:
        return []
    lost = [name for name in ("train.npy", "test.npy", "images.csv") if not (folder / name).exists()]
    if not lost and not (folder / "masks.npy").exists():
        with (folder / "images.csv").open(newline="") as file:
            lost = ["masks.npy"] if any(row["mask_digest"] for row in csv.DictReader(file)) else []
    return lost


def _lock(out: Path) -> Path:
    make_folder(out.parent)
    return out.with_name(f".{out.name}.lock")
