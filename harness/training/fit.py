"""Fit one method on one category: prepared training data in, weights and a marker out."""

from __future__ import annotations

import time
import traceback
from pathlib import Path
from typing import Any

import torch

from harness.data.prepared import Prepared
from harness.errors import DataError, FitError, disk_full
from harness.training.checkpoint import Checkpoint
from harness.training.detector import Detector, TrainingSet
from harness.training.device import describe, peak_memory
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.registry import build_detector
from harness.training.schedule import Training
from harness.training.seeds import derive_seed
from harness.training.state import save_state


def fit(
    settings: dict[str, Any],
    data: Path,
    folder: Path,
    *,
    seed: int,
    names: tuple[str, ...],
    device: torch.device,
    precision: str,
    checkpoint_seconds: float,
) -> dict[str, Any]:
    """Fit a detector and write `folder`/weights.safetensors. Returns what the marker says of the fit.

    `settings` are the merged settings of the cell, `data` its prepared folder, `seed` the base seed from which, with
    `names` (dataset, category), every other seed is derived. Data errors and failures of the method come back as
    status "failed"; a full disk or an interruption is raised, for then the same command is to go on later.
    """
    began = time.monotonic()
    progress = Progress("fit", folder / "log.jsonl")
    checkpoint = Checkpoint(folder / "checkpoint.pt", checkpoint_seconds)
    checkpoint.install_signal_handler()
    run = Run(device, precision, 0, Training.from_config(settings["training"]), checkpoint, progress)
    outcome: dict[str, Any] = {"status": "measured", "reason": None, "log_tail": []}
    weights = "none"
    try:
        detector = _fit(settings, data, run, seed, names)
        weights = detector.weights_origin
        save_state(detector, folder / "weights.safetensors")
        checkpoint.remove()
    except (DataError, FitError, MemoryError, ArithmeticError, ValueError, RuntimeError) as error:
        if disk_full(error):
            raise
        outcome = failure(error)
        checkpoint.remove()
    return outcome | {
        "seconds": time.monotonic() - began,
        "peak_memory_bytes": peak_memory(device),
        "precision": precision,
        "weights_origin": weights,
        "training": settings["training"] | {"micro_batches": run.micro_batches},
        **describe(device),
    }


def _fit(settings: dict[str, Any], data: Path, run: Run, seed: int, names: tuple[str, ...]) -> Detector:
    prepared = Prepared.open(data)
    train = TrainingSet(**prepared.training_arrays(seed, settings["validation"], settings["weak"]))
    if len(train.images) == 0:
        raise DataError(f"{data}: no training images; look for an empty train/good folder and prepare again")
    run.seed = derive_seed(seed, *names, settings["detector"])
    run.reseed("build")
    detector = build_detector(settings["detector"], image_shape(settings), settings["options"])
    run.prepare(detector)
    detector.fit(train, run)
    return detector.eval()


def image_shape(settings: dict[str, Any]) -> tuple[int, int, int]:
    """Return (C, H, W) of the images that a cell's detector sees."""
    return settings["channels"], settings["size"], settings["size"]


def failure(error: BaseException) -> dict[str, Any]:
    """Return the marker of a failed stage: one line for the table, the traceback's tail for whoever looks closer."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, (DataError, FitError)) else f"{type(error).__name__}: "
    return {"status": "failed", "reason": kind + text, "log_tail": traceback.format_exc().splitlines()[-20:]}
