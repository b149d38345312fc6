"""Maps and scores of a fitted detector, from prepared images to the maps' file. Nothing is graded here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.training.detector import Detector
from harness.training.loop import Run
from harness.training.maps_writer import MapsWriter


@dataclass(frozen=True)
class MapsFile:
    """Where maps and scores go: the file (.npz), the side of the maps, images predicted at a time."""

    path: Path
    size: int
    batch: int = 64


def write_maps(
    detector: Detector, run: Run, validation: np.ndarray, test: np.ndarray, index: np.ndarray, target: MapsFile
) -> dict[str, Any]:
    """Predict uint8 images (N,H,W,C) and write maps and scores, atomically.

    Args:
        detector: fitted, on the run's device.
        run: gives device, seeds and progress; every batch is seeded by its place alone.
        validation: held-out normal images, all of which are predicted.
        test: test images.
        index: which of the test images are predicted.
        target: file to write.

    Returns what the marker says of it. Raises FitError when a map or score is not finite or out of its range.
    """
    began = time.monotonic()
    detector.eval()
    with MapsWriter(target.path, index, detector.map_range) as writer:
        for split, images, chosen in (("validation", validation, np.arange(len(validation))), ("test", test, index)):
            with torch.no_grad(), run.progress.steps(split, len(chosen)) as advance:
                for start in range(0, len(chosen), target.batch):
                    run.reseed("predict", split, start)
                    inputs = run.images(images[chosen[start : start + target.batch]])
                    prediction = detector.predict(inputs.contiguous())
                    writer.add(resized(prediction.maps, target.size), named(prediction.scores), split)
                    advance(len(inputs))
    seconds = time.monotonic() - began
    return {
        "own_threshold": detector.own_threshold,
        "map_range": detector.map_range,
        "export": {"seconds": seconds, "images_per_s": (len(index) + len(validation)) / max(seconds, 1e-9)},
    }


def resized(maps: Tensor | dict[str, Tensor] | None, size: int) -> dict[str, np.ndarray] | None:
    """Return maps (N,h,w) by name ("" for the only one) as float32 (N,size,size), bilinear."""
    if maps is None:
        return None
    return {name: _resize(value, size) for name, value in (maps if isinstance(maps, dict) else {"": maps}).items()}


def _resize(maps: Tensor, size: int) -> np.ndarray:
    maps = maps.detach().float()
    if maps.shape[-2:] != (size, size):
        maps = F.interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    return maps.cpu().numpy()


def named(scores: Tensor | dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Return the image scores by name ("" for the only one), float64 (N,)."""
    every = scores if isinstance(scores, dict) else {"": scores}
    return {name: value.detach().double().cpu().numpy() for name, value in every.items()}
