"""Verbs that compute with torch: fit and export."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from benchmark.cli.common import add_cell, resolve
from benchmark.errors import ConfigError, DataError
from benchmark.evidence.provenance import commit, hardware, libraries
from benchmark.lease import VISIBLE, leased_device
from benchmark.plan.plan import Cell, Plan
from benchmark.stages.marker import exclusive, note_failure, read_marker, write_marker

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
    """Fit, unless the marker says that this very fit is done."""
    plan, cell = resolve(arguments)
    folder = plan.fit_folder(cell)
    with exclusive(folder / "lock", f"fit {folder.name}"):
        done = read_marker(folder / "fit.json")
        digest = _digest(plan, cell)
        if done and done["status"] == "measured" and done["data_digest"] == digest:
            print(f"fit {folder.name}: done already", file=sys.stderr)
            return 0
        marker = _failed_data(plan, cell) or _compute_fit(plan, cell)
        sha, dirty = commit()
        marker |= {
            "data_digest": digest,
            "commit": sha,
            "dirty": dirty,
            "hardware": hardware(),
            "libraries": libraries(),
        }
        if marker["status"] == "failed":
            note_failure(plan.work, folder.name, marker["reason"])
            print(f"fit {folder.name}: failed: {marker['reason']}", file=sys.stderr)
        asked = {"threads": plan.protocol["threads"], "deterministic": plan.config["deterministic"]}
        write_marker(folder / "fit.json", marker | asked)
    return 0


def _digest(plan: Plan, cell: Cell) -> str:
    manifest = read_marker(plan.data_folder(cell) / "manifest.json")
    if manifest is None:
        raise DataError(
            f"{plan.data_folder(cell)}: not prepared; run: python -m benchmark prepare --protocol {cell.protocol}"
            f" --dataset {cell.dataset} --category {cell.category} --size {plan.settings(cell).size}"
        )
    return str(manifest.get("digest", "none"))


def _failed_data(plan: Plan, cell: Cell) -> dict[str, Any] | None:
    """Return a failed fit's marker when the data could not be prepared."""
    manifest = read_marker(plan.data_folder(cell) / "manifest.json") or {}
    if "error" not in manifest:
        return None
    return {
        "status": "failed", "reason": manifest["error"], "log_tail": [], "seconds": 0.0, "peak_memory_bytes": 0,
        "precision": "none", "weights_origin": "none", "training": {}, "device": "none",
    }  # fmt: skip


def _compute_fit(plan: Plan, cell: Cell) -> dict[str, Any]:
    from benchmark.device import choose_device, choose_precision, set_up
    from benchmark.stages.fit import fit

    with leased_device(plan.config, plan.work) as leased:
        device = choose_device(plan.config["device"])
        set_up(device, plan.protocol["threads"], plan.config["deterministic"])
        if device.type == "cpu":
            _say_cpu(plan, cell)
        elif leased:
            print(f"GPU {leased}", file=sys.stderr)
        return fit(
            asdict(plan.settings(cell)), plan.data_folder(cell), plan.fit_folder(cell),
            seed=cell.seed, names=(cell.source, cell.category), device=device,
            precision=choose_precision(plan.protocol["precision"], device),
            checkpoint_seconds=plan.config["checkpoint_seconds"],
        )  # fmt: skip


def _say_cpu(plan: Plan, cell: Cell) -> None:
    """Say that there is no GPU. Raises ConfigError where the protocol needs one, unless `paper_on_cpu` allows it."""
    if plan.protocol.get("needs_gpu") and not plan.config["paper_on_cpu"]:
        from benchmark.stages.cpu_time import estimate

        raise ConfigError(
            f"the {plan.protocol['title']} needs a GPU and this machine shows none; on its CPU it would take"
            f" {estimate(plan, cell)}. Use the lite protocol, or set paper_on_cpu: true in config/config.yaml"
        )
    if plan.config["device"] != "cpu":
        given = os.environ.get(VISIBLE)
        print("no GPU: computing on the CPU" + (f" ({VISIBLE}={given})" if given else ""), file=sys.stderr)


def run_export(arguments: argparse.Namespace) -> int:
    """Export, unless it is done; a failed fit is passed on as a failed export."""
    plan, cell = resolve(arguments)
    folder, target = plan.fit_folder(cell), plan.maps(cell)
    fitted = read_marker(folder / "fit.json")
    if fitted is None:
        raise DataError(f"{folder}: no finished fit; run: python -m benchmark fit {cell.arguments}")
    if fitted["status"] == "failed":
        marker = {"status": "failed", "reason": fitted["reason"], "log_tail": fitted["log_tail"]}
    else:
        with exclusive(folder / "export.lock", f"export {folder.name}"):
            marker = _compute_export(plan, cell)
    if marker["status"] == "failed":
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"")
        if fitted["status"] != "failed":
            note_failure(plan.work, folder.name, marker["reason"])
        print(f"export {folder.name}: failed: {marker['reason']}", file=sys.stderr)
    write_marker(target.with_suffix(".json"), marker)
    return 0


def _compute_export(plan: Plan, cell: Cell) -> dict[str, Any]:
    from benchmark.device import choose_device, set_up
    from benchmark.stages.export import export

    with leased_device(plan.config, plan.work):
        device = choose_device(plan.config["device"])
        set_up(device, plan.protocol["threads"], plan.config["deterministic"])
        return export(
            asdict(plan.settings(cell)), plan.data_folder(cell), plan.fit_folder(cell) / "weights.safetensors",
            plan.maps(cell), seed=cell.seed, names=(cell.source, cell.category), device=device,
            size=plan.protocol["datasets"][cell.dataset]["size"], batch=plan.protocol["export_batch"],
        )  # fmt: skip
