"""Export a fit that is there: what `fit` does after the training. Goes once nothing calls it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from harness.data.prepared import Prepared
from harness.training.checkpoint import Checkpoint
from harness.training.device import describe, peak_memory
from harness.training.fit import FAILURES, failure, load_detector
from harness.training.loop import Run
from harness.training.predict import MapsFile, write_maps
from harness.training.progress import Progress
from harness.training.schedule import Training
from harness.training.seeds import derive_seed


def export(
    settings: dict[str, Any], data: Path, weights: Path, target: Path, *, seed: int, names: tuple[str, ...],
    device: torch.device, size: int, batch: int,
) -> dict[str, Any]:  # fmt: skip
    """Write `target` (.npz) with maps of size×size pixels and scores. Returns what the marker says of the export."""
    began = time.monotonic()
    outcome: dict[str, Any] = {"status": "measured", "reason": None, "log_tail": [], "images_per_s": 0.0}
    base = derive_seed(seed, *names, settings["detector"])
    run = Run(device, "float32", base, Training(), Checkpoint(target.with_suffix(".pt")), Progress("export"))
    try:
        detector = load_detector(settings, weights, device)
        prepared = Prepared.open(data)
        index = prepared.test_index(seed, weak=settings["weak"])
        held_out = prepared.training_arrays(seed, validation=settings["validation"], weak=settings["weak"])[
            "validation"
        ]
        said = write_maps(detector, run, held_out, prepared.test, index, MapsFile(target, size, batch))
        outcome |= {**said, **said.pop("export")}
    except FAILURES as error:
        outcome |= failure(error)
    return outcome | {
        "seconds": time.monotonic() - began, "peak_memory_bytes": peak_memory(device), **describe(device)
    }  # fmt: skip
