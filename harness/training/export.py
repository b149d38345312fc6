"""Export one fit: weights and prepared test images in, anomaly maps and image scores out. Nothing is graded here."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.prepared import Prepared
from harness.errors import FitError
from harness.training.detector import Detector
from harness.training.device import describe, peak_memory
from harness.training.fit import failure, image_shape
from harness.training.maps import MapsWriter
from harness.training.progress import Progress
from harness.training.registry import build_detector
from harness.training.seeds import derive_seed
from harness.training.state import load_state


def export(
    settings: dict[str, Any],
    data: Path,
    weights: Path,
    target: Path,
    *,
    seed: int,
    names: tuple[str, ...],
    device: torch.device,
    size: int,
    batch: int,
) -> dict[str, Any]:
    """Write `target` (.npz) with maps of size×size pixels and scores. Returns what the marker says of the export."""
    began = time.monotonic()
    outcome: dict[str, Any] = {"status": "measured", "reason": None, "log_tail": [], "images_per_s": 0.0}
    try:
        detector = _load(settings, weights, device)
        prepared = Prepared.open(data)
        index = prepared.test_index(seed, weak=settings["weak"])
        arrays = prepared.training_arrays(seed, validation=settings["validation"], weak=settings["weak"])
        loaded = time.monotonic()
        base = derive_seed(seed, *names, settings["detector"])
        with MapsWriter(target, index, detector.map_range) as writer:
            for split, images, chosen in (
                ("validation", arrays["validation"], np.arange(len(arrays["validation"]))),
                ("test", prepared.test, index),
            ):
                _predict(detector, images, chosen, writer, split, size, batch, base, device)
        outcome |= {"own_threshold": detector.own_threshold, "map_range": detector.map_range}
        outcome["images_per_s"] = (len(index) + len(arrays["validation"])) / (time.monotonic() - loaded)
    except (FitError, MemoryError, ArithmeticError, ValueError, RuntimeError) as error:
        outcome |= failure(error)
    return outcome | {
        "seconds": time.monotonic() - began,
        "peak_memory_bytes": peak_memory(device),
        **describe(device),
    }


def _load(settings: dict[str, Any], weights: Path, device: torch.device) -> Detector:
    detector = build_detector(settings["detector"], image_shape(settings), settings["options"])
    load_state(detector, weights)
    return detector.to(device).eval()


def _predict(
    detector: Detector,
    images: np.ndarray,
    chosen: np.ndarray,
    writer: MapsWriter,
    split: str,
    size: int,
    batch: int,
    seed: int,
    device: torch.device,
) -> None:
    with torch.no_grad(), Progress("export").steps(split, len(chosen)) as advance:
        for start in range(0, len(chosen), batch):
            pixels = np.ascontiguousarray(images[chosen[start : start + batch]])
            torch.manual_seed(derive_seed(seed, "predict", split, start))
            inputs = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float().div_(255)
            prediction = detector.predict(inputs)
            maps = None if prediction.maps is None else resize_maps(prediction.maps, size)
            writer.add(maps, scores_of(prediction.scores), split)
            advance(len(pixels))


def resize_maps(maps: Tensor, size: int) -> np.ndarray:
    """Return maps (N,h,w) as float32 (N,size,size), bilinear."""
    maps = maps.detach().float()
    if maps.shape[-2:] != (size, size):
        maps = F.interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=False)[:, 0]
    return maps.cpu().numpy()


def scores_of(scores: Tensor | dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Return the image scores by name ("" for a method with one score), float64 (N,)."""
    named = scores if isinstance(scores, dict) else {"": scores}
    return {name: value.detach().double().cpu().numpy() for name, value in named.items()}
