"""Small fits for tests: a run on the CPU, and images with a planted defect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.training.checkpoint import Checkpoint
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.schedule import Augmentation, Training


def make_run(folder: Path, *, seed: int = 0, **training: Any) -> Run:
    """Return a float32 run on the CPU that keeps its checkpoint in `folder`."""
    plan = Training(
        **{"batch_size": 8, "images_seen": 64, "lr_factor": 1.0, "augmentation": Augmentation(), **training}
    )
    checkpoint = Checkpoint(folder / "checkpoint.pt")
    return Run(torch.device("cpu"), "float32", seed, plan, checkpoint, Progress("test"))


def planted(
    size: int = 64, channels: int = 3, train: int = 12, test: int = 6, validation: int = 4, kind: str = "texture"
) -> tuple[TrainingSet, torch.Tensor, np.ndarray]:
    """Return woven normal images, and test images (N,C,H,W) in [0,1] with their masks (N,H,W).

    Every second test image has a square in which the weave is missing and the tone another. The weave of a texture
    lies anywhere, that of an object almost always in the same place.
    """
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[:size, :size]

    def weave(count: int) -> np.ndarray:
        shift = random.uniform(0, 2 * np.pi if kind == "texture" else 0.3, (2, count, 1, 1))
        plain = 0.5 + 0.2 * np.sin(rows * np.pi / 4 + shift[0]) * np.cos(columns * np.pi / 4 + shift[1])
        noisy = plain[..., None] * np.linspace(1, 0.8, channels) + random.normal(0, 0.02, (count, size, size, channels))
        return (noisy.clip(0, 1) * 255).round().astype(np.uint8)

    images, masks, side = weave(test), np.zeros((test, size, size), bool), size // 4
    for number in range(1, test, 2):
        top, left = random.integers(0, size - side, 2)
        masks[number, top : top + side, left : left + side] = True
    images[masks] = 230
    empty = np.zeros((0, size, size, channels), np.uint8)
    training = TrainingSet(weave(train), np.zeros(train, np.int64), empty, weave(validation), kind)
    return training, torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, masks


def predict(detector: Detector, images: torch.Tensor, seed: int = 0) -> Prediction:
    """Predict as the harness does: in eval mode, without gradients, with a seed of the batch's own."""
    torch.manual_seed(seed)
    with torch.no_grad():
        return detector.eval().predict(images)
