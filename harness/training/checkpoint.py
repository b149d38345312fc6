"""Checkpoints of a fit: written beside the weights every few minutes, so that a killed fit goes on where it was."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from harness.training.detector import Detector
from harness.training.hooks import Hook
from harness.training.state import load_state

Rates = list[list[float]]


class Checkpoint:
    """The one checkpoint file of a fit; `seconds` is the time between two writes."""

    def __init__(self, path: Path, seconds: float = 180.0) -> None:
        self.path, self.seconds = path, seconds
        self.saved_at = time.monotonic()
        self.done: list[str] = []
        self.resumed: dict[str, Any] | None = None
        self._restored = False
        self._terminated = False

    @contextmanager
    def on_terminate(self) -> Iterator[None]:
        """On SIGTERM within the block, save after the step under way and leave with the customary status 143."""
        before = signal.signal(signal.SIGTERM, self._on_terminate)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _on_terminate(self, *_: object) -> None:
        self._terminated = True

    def restore(
        self, name: str, detector: Detector, optimizers: Sequence[Optimizer], total: int, hooks: Sequence[Hook] = ()
    ) -> tuple[int, Rates]:
        """Return the step at which loop `name` goes on and its optimisers' first rates."""
        rates = [[float(group["lr"]) for group in optimizer.param_groups] for optimizer in optimizers]
        self._load(detector)
        if name in self.done:
            return total, rates
        if self.resumed is None or self.resumed["name"] != name:
            return 0, rates
        for optimizer, state in zip(optimizers, self.resumed["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        for hook, state in zip(hooks, self.resumed["hooks"], strict=True):
            hook.restore(state)
        return int(self.resumed["step"]), self.resumed["rates"]

    def _load(self, detector: Detector) -> None:
        """Read the file once, at the fit's first loop."""
        if self._restored or not self.path.exists():
            self._restored = True
            return
        self._restored = True
        self.resumed = torch.load(self.path, map_location="cpu", weights_only=True)
        assert self.resumed is not None
        self.done = list(self.resumed["done"])
        load_state(detector, self.resumed["detector"])

    def maybe_save(
        self, name: str, detector: Detector, optimizers: Sequence[Optimizer], step: int, rates: Rates,
        hooks: Sequence[Hook] = (),
    ) -> None:  # fmt: skip
        """Save if it is time, or if the process was asked to end; in the latter case leave."""
        if not self._terminated and time.monotonic() - self.saved_at < self.seconds:
            return
        self._save(name, detector, optimizers, step, rates, hooks)
        if self._terminated:
            raise SystemExit(143)

    def finish(self, name: str, detector: Detector, optimizers: Sequence[Optimizer], total: int, rates: Rates) -> None:
        """Mark loop `name` as done; the file is only written if the fit is long enough to have one."""
        if name in self.done:
            return
        self.done.append(name)
        if self.path.exists():
            self._save(name, detector, optimizers, total, rates)

    def _save(
        self, name: str, detector: Detector, optimizers: Sequence[Optimizer], step: int, rates: Rates,
        hooks: Sequence[Hook] = (),
    ) -> None:  # fmt: skip
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        content = {
            "done": self.done, "name": name, "step": step, "rates": rates,
            "detector": detector.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
            "hooks": [hook.state() for hook in hooks],
        }  # fmt: skip
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self.saved_at = time.monotonic()

    def remove(self) -> None:
        """Delete the file once the finished weights are on disk."""
        self.path.unlink(missing_ok=True)
