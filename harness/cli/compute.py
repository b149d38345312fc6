"""The verb that computes with torch: fit."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from harness.cell import Cell
from harness.cli.common import add_cell, add_note_failure, resolve, run_cell
from harness.cli.data import restore_data
from harness.data.atomic import write_text
from harness.errors import ConfigError, DataError, FitError
from harness.gpus import VISIBLE
from harness.records.plan import Plan
from harness.records.provenance import commit, hardware, libraries
from harness.workflow.job import Job, Status, ends_process, failed
from harness.workflow.job_status import force_to_disk, read_status, write_status
from harness.workflow.lease import leased_device

Run = Callable[[argparse.Namespace], int]
NOT_FITTED: Status = {
    "seconds": 0.0, "peak_memory_bytes": 0, "precision": "none", "weights_origin": "none", "training": {},
    "device": "none",
}  # fmt: skip
"""What a failed fit's status says of what never was."""


def add_fit(parser: argparse.ArgumentParser) -> Run:
    """Fit one method on one category and predict its test images; a fit that is there already is left alone."""
    add_cell(parser)
    add_note_failure(parser)
    return run_fit


def run_fit(arguments: argparse.Namespace) -> int:
    """Write weights, maps, log and status into work/fits/<key>/."""
    plan, cell = resolve(arguments)
    return run_cell(fit_job(plan, cell), arguments)


def fit_job(plan: Plan, cell: Cell) -> Job:
    """Return the job that fits a cell and predicts. Raises DataError when its data are not prepared."""
    folder, digest = plan.fit_folder(cell), _digest(plan, cell, plan.settings(cell).size)

    def done() -> bool:
        status = read_status(plan.status_file(cell)) or {}
        same = status.get("status") == "measured" and status["data_digest"] == digest
        return same and plan.maps(cell).exists()

    return Job(
        what=f"fit {folder.name}",
        name=folder.name,
        work=plan.work,
        lock=folder / "lock",
        compute=lambda: _fit(plan, cell, digest),
        finish=lambda status: _finish(plan, cell, digest, status),
        done=done,
    )


def _fit(plan: Plan, cell: Cell, digest: str) -> Status:
    """Return the status of a fit; what ends the process raises, and the fit goes on later."""
    folder = plan.fit_folder(cell)
    manifest = read_status(plan.data_folder(cell) / "manifest.json") or {}
    if "error" in manifest:
        return failed(manifest["error"], [f"prepare: {manifest['error']}"], passed_on=True)
    _drop_foreign_checkpoint(folder, digest)
    try:
        restore_data(plan, cell, plan.settings(cell).size)
        return _compute(plan, cell)
    except Exception as error:
        # What is half-written only fills the disk, or would be resumed into the same failure.
        for left in [*folder.glob("*.tmp"), *([] if ends_process(error) else folder.glob("checkpoint.pt"))]:
            left.unlink()
        raise


def _drop_foreign_checkpoint(folder: Path, digest: str) -> None:
    """Delete a checkpoint of other data: the key that names the folder is known before the data are."""
    owner = folder / "checkpoint.data"
    if (folder / "checkpoint.pt").exists() and (not owner.exists() or owner.read_text() != digest):
        print(f"fit {folder.name}: the data have changed since its checkpoint; starting afresh", file=sys.stderr)
        (folder / "checkpoint.pt").unlink()
    write_text(owner, digest)


def _finish(plan: Plan, cell: Cell, digest: str, status: Status) -> None:
    """Write the status, after weights and maps are safe on the disk. A failed fit's maps are an empty file."""
    sha, dirty = commit()
    said = {"data_digest": digest, "commit": sha, "dirty": dirty, "hardware": hardware(), "libraries": libraries()}
    said |= {"threads": plan.protocol.threads, "deterministic": plan.config.deterministic}
    if status["status"] == "failed":
        plan.maps(cell).write_bytes(b"")
    for path in (plan.fit_folder(cell) / "weights.safetensors", plan.maps(cell)):
        if path.exists():
            force_to_disk(path)
    write_status(plan.status_file(cell), NOT_FITTED | status | said)


def _digest(plan: Plan, cell: Cell, size: int) -> str:
    folder = plan.data_folder(cell, size)
    if (manifest := read_status(folder / "manifest.json")) is None:
        raise DataError(
            f"{folder}: not prepared; run: cavga-bench prepare --protocol {cell.protocol}"
            f" --dataset {cell.dataset} --category {cell.category} --size {size}"
        )
    return str(manifest.get("digest", "none"))


def _compute(plan: Plan, cell: Cell) -> Status:
    from harness.training.device import choose_device, choose_precision, set_up
    from harness.training.fit import fit
    from harness.training.predict import MapsFile

    with leased_device(plan.config, plan.work) as leased:
        device = choose_device(plan.config.device)
        set_up(device, plan.protocol.threads, plan.config.deterministic)
        if device.type == "cpu":
            _say_cpu(plan, cell)
        elif leased:
            print(f"GPU {leased}", file=sys.stderr)
        settings, size = plan.settings(cell), plan.protocol.datasets[cell.dataset].size
        with _refusal_is_failure():
            return fit(
                asdict(settings), plan.data_folder(cell), plan.fit_folder(cell),
                seed=cell.seed, names=(cell.source, cell.category), device=device,
                precision=choose_precision(settings.training.get("precision") or plan.protocol.precision, device),
                checkpoint_seconds=plan.config.checkpoint_seconds,
                maps=MapsFile(plan.maps(cell), size, plan.protocol.export_batch), auxiliary=_auxiliary(plan, cell),
            )  # fmt: skip


def _auxiliary(plan: Plan, cell: Cell) -> Path | None:
    """Return the folder of the images given beside the cell's own. Raises DataError unless they are the pinned ones."""
    settings, place = plan.settings(cell), plan.auxiliary(cell)
    if settings.auxiliary is None or place is None:
        return None
    restore_data(plan, place, settings.size)
    folder, pinned = plan.data_folder(place, settings.size), settings.auxiliary.digest
    found = _digest(plan, place, settings.size)
    if error := (read_status(folder / "manifest.json") or {}).get("error"):
        raise DataError(f"auxiliary images: {error}")
    if found != pinned:
        raise DataError(f"auxiliary images {folder}: their digest is not the entry's '{pinned}'; write digest: {found}")
    return folder


@contextmanager
def _refusal_is_failure() -> Iterator[None]:
    """Make it the cell's failure when a detector refuses to be built for its images: the other cells go on.

    Its refusal is a ConfigError like others, which end the build. It is told by where it comes from: the constructor.
    """
    try:
        yield
    except ConfigError as error:
        frames = traceback.extract_tb(error.__traceback__)
        if "build_detector" in [frame.name for frame in frames[:-1]]:
            raise FitError(str(error)) from error
        raise


def _say_cpu(plan: Plan, cell: Cell) -> None:
    """Say that there is no GPU. Raises ConfigError where the fit needs one: see `Plan.too_slow`."""
    if reason := plan.too_slow(cell):
        raise ConfigError(
            f"the {plan.protocol.title} {reason}, and this machine shows none; use the lite protocol, or set "
            "paper_on_cpu: true in config/config.yaml"
        )
    if plan.config.device != "cpu":
        given = os.environ.get(VISIBLE)
        print("no GPU: computing on the CPU" + (f" ({VISIBLE}={given})" if given else ""), file=sys.stderr)
