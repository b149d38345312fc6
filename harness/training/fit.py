"""One cell's fit in one process: prepared data in; weights, anomaly maps and scores out."""

from __future__ import annotations

import hashlib
import json
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
from harness.training.predict import MapsFile, write_maps
from harness.training.progress import Progress
from harness.training.registry import build_detector
from harness.training.schedule import Training
from harness.training.seeds import derive_seed
from harness.training.state import load_state, save_state

FAILURES = (DataError, FitError, MemoryError, ArithmeticError, ValueError, RuntimeError)
WEIGHTS, TRAINED = "weights.safetensors", "trained.json"


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
    maps: MapsFile | None = None,
    auxiliary: Path | None = None,
) -> dict[str, Any]:
    """Fit a detector, write `folder`/weights.safetensors, predict, write the maps. Returns what the marker says.

    Weights that this very fit (settings, data, seed, precision) left in `folder` are not trained again. Failures of
    data and method come back as status "failed"; a full disk, a wrong configuration or an interruption is raised, for
    then the same command is to go on later.

    Args:
        settings: the merged settings of the cell.
        data: its prepared folder.
        folder: takes weights, log and checkpoint.
        seed: base seed from which, with `names` (dataset, category), every other seed is derived.
        names: see `seed`.
        device: where to compute.
        precision: "float32" or "bfloat16".
        checkpoint_seconds: between two checkpoints.
        maps: file for the predictions; None makes none.
        auxiliary: prepared folder whose training images are given as auxiliary ones.
    """
    began = time.monotonic()
    checkpoint = Checkpoint(folder / "checkpoint.pt", checkpoint_seconds)
    plan, progress = Training.from_config(settings["training"]), Progress("fit", folder / "log.jsonl")
    run = Run(device, precision, derive_seed(seed, *names, settings["detector"]), plan, checkpoint, progress)
    outcome: dict[str, Any] = {"status": "measured", "reason": None, "log_tail": [], "weights_origin": "none"}
    outcome |= {"precision": precision, "training": settings["training"]}
    try:
        outcome |= _train_and_predict(settings, data, folder, run, (seed, names), maps, auxiliary)
    except FAILURES as error:
        if disk_full(error):
            raise
        outcome |= failure(error)
        checkpoint.remove()
    outcome.setdefault("seconds", time.monotonic() - began)
    return outcome | {"peak_memory_bytes": peak_memory(device), **describe(device)}


def _train_and_predict(
    settings: dict[str, Any], data: Path, folder: Path, run: Run, seeds: tuple[int, tuple[str, ...]],
    maps: MapsFile | None, auxiliary: Path | None,
) -> dict[str, Any]:  # fmt: skip
    prepared = Prepared.open(data)
    train = TrainingSet(
        **prepared.training_arrays(seeds[0], settings["validation"], settings["weak"]),
        auxiliary=None if auxiliary is None else Prepared.open(auxiliary).train,
    )
    identity = _identity([settings, prepared.manifest.digest, seeds, run.precision])
    said = _reusable(folder, identity) or _train(settings, train, run, folder, identity)
    if maps is None:
        return said
    detector = load_detector(settings, folder / WEIGHTS, run.device)
    index = prepared.test_index(seeds[0], settings["weak"])
    return said | write_maps(detector, run, train.validation, prepared.test, index, maps)


def load_detector(settings: dict[str, Any], weights: Path, device: torch.device) -> Detector:
    """Return a fitted detector in eval mode.

    Predictions are always made from the file, also right after training: a later run then gives the same bytes.
    """
    detector = build_detector(settings["detector"], image_shape(settings), settings["options"])
    load_state(detector, weights)
    return detector.to(device).eval()


def _reusable(folder: Path, identity: str) -> dict[str, Any]:
    """Return what is to be said of the training whose weights lie in `folder` unharmed; nothing if it was another."""
    try:
        note = json.loads((folder / TRAINED).read_text())
        known = note.pop("identity") == identity and note.pop("weights") == _digest(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
    return dict(note) if known else {}


def _train(settings: dict[str, Any], train: TrainingSet, run: Run, folder: Path, identity: str) -> dict[str, Any]:
    """Train, save the weights, and return what is to be said of the training."""
    began = time.monotonic()
    if len(train.images) == 0:
        raise DataError("no training images; look for an empty train/good folder and prepare again")
    run.reseed("build")
    detector = build_detector(settings["detector"], image_shape(settings), settings["options"])
    run.prepare(detector)
    with run.checkpoint.on_terminate():
        detector.fit(train, run)
    save_state(detector.eval(), folder / WEIGHTS)
    note = {
        "seconds": time.monotonic() - began,
        "weights_origin": detector.weights_origin,
        "flaw": detector.flaw,
        "training": settings["training"] | {"micro_batches": run.micro_batches},
    }
    content = json.dumps(note | {"identity": identity, "weights": _digest(folder / WEIGHTS)})
    (folder / TRAINED).write_text(content)
    run.checkpoint.remove()
    return note


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _identity(content: list[Any]) -> str:
    """Return the hash of what a fit's weights depend on; its sources are in the folder's name."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def image_shape(settings: dict[str, Any]) -> tuple[int, int, int]:
    """Return (C, H, W) of the images that a cell's detector sees."""
    return settings["channels"], settings["size"], settings["size"]


def failure(error: BaseException) -> dict[str, Any]:
    """Return the marker of a failed stage: one line for the table, the traceback's tail for whoever looks closer."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, (DataError, FitError)) else f"{type(error).__name__}: "
    return {"status": "failed", "reason": kind + text, "log_tail": traceback.format_exc().splitlines()[-20:]}
