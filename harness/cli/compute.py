"""Verbs that compute with torch: fit and export."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.cell import Cell
from harness.cli.common import add_cell, resolve
from harness.cli.data import restore_data
from harness.cli.guard import ends_process, guarded, why
from harness.data.atomic import write_text
from harness.errors import ConfigError, DataError
from harness.records.plan import Plan
from harness.records.provenance import commit, hardware, libraries
from harness.workflow.job_status import exclusive, force_to_disk, note_failure, read_marker, write_marker
from harness.workflow.lease import VISIBLE, leased_device
from harness.workflow.supervise import supervised

Run = Callable[[argparse.Namespace], int]


def add_fit(parser: argparse.ArgumentParser) -> Run:
    """Fit one method on one category; a fit that is there already is left alone."""
    add_cell(parser)
    return run_fit


def add_export(parser: argparse.ArgumentParser) -> Run:
    """Write the anomaly maps and image scores of one fit."""
    add_cell(parser)
    return run_export


def run_fit(arguments: argparse.Namespace) -> int:
    """Fit, unless the marker says that this very fit is done. A fit that fails or is killed leaves a failed marker."""
    plan, cell = resolve(arguments)
    folder = plan.fit_folder(cell)
    with exclusive(folder / "lock", f"fit {folder.name}"):
        done = read_marker(folder / "fit.json")
        digest = _digest(plan, cell)
        if done and done["status"] == "measured" and done["data_digest"] == digest:
            print(f"fit {folder.name}: done already", file=sys.stderr)
            return 0
        return supervised(
            lambda: guarded(lambda: _finish_fit(plan, cell, digest, _fit(plan, cell, digest)), "fit"),
            lambda reason, tail: _finish_fit(plan, cell, digest, _no_fit(reason, tail)),
        )


def _fit(plan: Plan, cell: Cell, digest: str) -> dict[str, Any]:
    """Return the marker of a fit, failed ones included; what ends the process raises, and the fit goes on later."""
    folder = plan.fit_folder(cell)
    manifest = read_marker(plan.data_folder(cell) / "manifest.json") or {}
    if "error" in manifest:
        return _no_fit(manifest["error"], [f"prepare: {manifest['error']}"])
    _drop_foreign_checkpoint(folder, digest)
    try:
        restore_data(plan, cell, plan.settings(cell).size)
        return _compute_fit(plan, cell)
    except Exception as error:
        # What is half-written only fills the disk, or would be resumed into the same failure.
        for left in [*folder.glob("*.tmp"), *([] if ends_process(error) else folder.glob("checkpoint.pt"))]:
            left.unlink()
        if ends_process(error):
            raise
        return _no_fit(*why(error))


def _drop_foreign_checkpoint(folder: Path, digest: str) -> None:
    """Delete a checkpoint of other data: the key that names the folder is known before the data are."""
    owner = folder / "checkpoint.data"
    if (folder / "checkpoint.pt").exists() and (not owner.exists() or owner.read_text() != digest):
        print(f"fit {folder.name}: the data have changed since its checkpoint; starting afresh", file=sys.stderr)
        (folder / "checkpoint.pt").unlink()
    write_text(owner, digest)


def _no_fit(reason: str, tail: list[str]) -> dict[str, Any]:
    """Return the marker of a fit that came to nothing."""
    return {
        "status": "failed", "reason": reason, "log_tail": tail, "seconds": 0.0, "peak_memory_bytes": 0,
        "precision": "none", "weights_origin": "none", "training": {}, "device": "none",
    }  # fmt: skip


def _finish_fit(plan: Plan, cell: Cell, digest: str, marker: dict[str, Any]) -> int:
    """Write the marker, after the weights are safe on the disk."""
    folder = plan.fit_folder(cell)
    sha, dirty = commit()
    marker |= {"data_digest": digest, "commit": sha, "dirty": dirty, "hardware": hardware(), "libraries": libraries()}
    marker |= {"threads": plan.protocol.threads, "deterministic": plan.config.deterministic}
    if marker["status"] == "failed":
        note_failure(plan.work, folder.name, marker["reason"])
        print(f"fit {folder.name}: failed: {marker['reason']}", file=sys.stderr)
    else:
        force_to_disk(folder / "weights.safetensors")
    write_marker(folder / "fit.json", marker)
    return 0


def _digest(plan: Plan, cell: Cell) -> str:
    manifest = read_marker(plan.data_folder(cell) / "manifest.json")
    if manifest is None:
        raise DataError(
            f"{plan.data_folder(cell)}: not prepared; run: python -m harness prepare --protocol {cell.protocol}"
            f" --dataset {cell.dataset} --category {cell.category} --size {plan.settings(cell).size}"
        )
    return str(manifest.get("digest", "none"))


def _compute_fit(plan: Plan, cell: Cell) -> dict[str, Any]:
    from harness.training.device import choose_device, choose_precision, set_up
    from harness.training.fit import fit

    with leased_device(plan.config, plan.work) as leased:
        device = choose_device(plan.config.device)
        set_up(device, plan.protocol.threads, plan.config.deterministic)
        if device.type == "cpu":
            _say_cpu(plan, cell)
        elif leased:
            print(f"GPU {leased}", file=sys.stderr)
        settings = plan.settings(cell)
        return fit(
            asdict(settings), plan.data_folder(cell), plan.fit_folder(cell),
            seed=cell.seed, names=(cell.source, cell.category), device=device,
            precision=choose_precision(settings.training.get("precision") or plan.protocol.precision, device),
            checkpoint_seconds=plan.config.checkpoint_seconds,
        )  # fmt: skip


def _say_cpu(plan: Plan, cell: Cell) -> None:
    """Say that there is no GPU. Raises ConfigError where the protocol needs one, unless `paper_on_cpu` allows it."""
    if plan.protocol.needs_gpu and not plan.config.paper_on_cpu:
        from harness.cli.without_gpu import cpu_time

        raise ConfigError(
            f"the {plan.protocol.title} needs a GPU and this machine shows none; this fit alone would take "
            f"{cpu_time(plan, cell)} on its CPU. Use the lite protocol, or set paper_on_cpu: true in config/config.yaml"
        )
    if plan.config.device != "cpu":
        given = os.environ.get(VISIBLE)
        print("no GPU: computing on the CPU" + (f" ({VISIBLE}={given})" if given else ""), file=sys.stderr)


def run_export(arguments: argparse.Namespace) -> int:
    """Export; a failed fit is passed on as a failed export, lost weights are fitted again."""
    plan, cell = resolve(arguments)
    folder = plan.fit_folder(cell)
    fitted = read_marker(folder / "fit.json")
    if fitted is None:
        raise DataError(f"{folder}: no finished fit; run: python -m harness fit {cell.arguments}")
    if fitted["status"] == "measured" and not (folder / "weights.safetensors").exists():
        print(f"export {folder.name}: the weights are lost; fitting again", file=sys.stderr)
        (folder / "fit.json").unlink()
        return run_fit(arguments) or run_export(arguments)
    with exclusive(folder / "export.lock", f"export {folder.name}"):
        return supervised(
            lambda: guarded(lambda: _finish_export(plan, cell, fitted, _export(plan, cell, fitted)), "export"),
            lambda reason, tail: _finish_export(plan, cell, fitted, _no_export(reason, tail)),
        )


def _export(plan: Plan, cell: Cell, fitted: dict[str, Any]) -> dict[str, Any]:
    if fitted["status"] == "failed":
        return _no_export(fitted["reason"], fitted["log_tail"])
    try:
        restore_data(plan, cell, plan.settings(cell).size)
        return _compute_export(plan, cell)
    except Exception as error:
        if ends_process(error):
            raise
        return _no_export(*why(error))


def _no_export(reason: str, tail: list[str]) -> dict[str, Any]:
    return {"status": "failed", "reason": reason, "log_tail": tail}


def _finish_export(plan: Plan, cell: Cell, fitted: dict[str, Any], marker: dict[str, Any]) -> int:
    """Write the marker, after the maps are safe on the disk."""
    key, target = plan.key(cell), plan.maps(cell)
    if marker["status"] == "failed":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"")
        if fitted["status"] != "failed":
            note_failure(plan.work, f"{key}.export", marker["reason"])
        print(f"export {key}: failed: {marker['reason']}", file=sys.stderr)
    force_to_disk(target)
    write_marker(target.with_suffix(".json"), marker)
    return 0


def _compute_export(plan: Plan, cell: Cell) -> dict[str, Any]:
    from harness.training.device import choose_device, set_up
    from harness.training.export import export

    with leased_device(plan.config, plan.work):
        device = choose_device(plan.config.device)
        set_up(device, plan.protocol.threads, plan.config.deterministic)
        return export(
            asdict(plan.settings(cell)), plan.data_folder(cell), plan.fit_folder(cell) / "weights.safetensors",
            plan.maps(cell), seed=cell.seed, names=(cell.source, cell.category), device=device,
            size=plan.protocol.datasets[cell.dataset].size, batch=plan.protocol.export_batch,
        )  # fmt: skip
