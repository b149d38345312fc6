"""A detector that gets into trouble while the file `trouble` lies in the current folder. Tests copy it."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Phase, Run


class Troubled(Detector):
    """One convolution; `kind` says what goes wrong, `pause` how long a step takes at least (seconds)."""

    map_range = None

    def __init__(self, shape: tuple[int, int, int], kind: str = "none", pause: float = 0.0) -> None:
        super().__init__(shape)
        self.kind, self.pause = kind, pause
        self.net = nn.Conv2d(shape[0], 1, 3, padding=1)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train, and stumble in the middle."""
        run.loop(self, train.images, [Phase(torch.optim.Adam(self.parameters(), 1e-2), self._loss)])

    def _loss(self, batch: Batch) -> dict[str, Tensor]:
        time.sleep(self.pause)
        loss = (self.net(batch.images) - batch.images.mean(1, keepdim=True)).square().mean()
        if batch.step == 5 and Path("trouble").exists():
            loss = loss * self._stumble()
        return {"loss": loss}

    def _stumble(self) -> float:
        if self.kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == "crashed":
            ctypes.string_at(0)
        if self.kind == "memory":
            np.empty(1 << 60, np.uint8)
        if self.kind == "wrong":
            return {}["no such key"]
        return float("nan") if self.kind == "nan" else 1.0

    def predict(self, images: Tensor) -> Prediction:
        """Return the reconstruction error."""
        if self.kind == "export" and Path("trouble").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        maps = (self.net(images) - images.mean(1, keepdim=True)).square()[:, 0]
        return Prediction(maps, maps.flatten(1).amax(1))
