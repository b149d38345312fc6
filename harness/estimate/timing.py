"""Timing a few real training steps of a method on this machine, on made-up images of the right size and number."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from harness.cell import Cell, Settings
from harness.estimate.steps import Step
from harness.records.plan import Plan
from harness.training.checkpoint import Checkpoint
from harness.training.detector import Detector, TrainingSet
from harness.training.device import choose_device, choose_precision, set_up
from harness.training.loop import Run
from harness.training.progress import Progress, Report
from harness.training.registry import build_detector
from harness.training.schedule import Training
from harness.training.seeds import derive_seed
from harness.workflow.lease import leased_device

WARM_UP, FEW, MORE = 1, 2, 6
"""Training steps of three short fits; a method without steps gets `IMAGES` times as many images instead."""
IMAGES = 4
HELD_OUT = 2
OTHER_CLASSES = 9


def time_steps(plan: Plan, cell: Cell) -> Step:
    """Fit three times for a few steps and predict one batch. Raises what the method raises."""
    with leased_device(plan.config, plan.work), tempfile.TemporaryDirectory() as folder:
        device = choose_device(plan.config.device)
        set_up(device, plan.protocol.threads, plan.config.deterministic)
        wish = plan.settings(cell).training.get("precision") or plan.protocol.precision
        precision = choose_precision(wish, device)
        trial = _Trial(plan, cell, device, precision, Path(folder))
        trial.fit(WARM_UP)
        few, more = trial.fit(FEW), trial.fit(MORE)
        pieces = trial.pieces
        each = max(0.0, (more - few) / (pieces[MORE] - pieces[FEW]))
        return Step(
            key=plan.key(cell),
            device=device.type,
            loop=trial.steps > 0,
            fixed=max(0.0, few - each * pieces[FEW]),
            each=each,
            export=trial.predict(),
            weights=sum(t.numel() * t.element_size() for t in trial.detector.state_dict().values()),
        )


class _Counter(Progress):
    """Counts the steps of a fit and prints nothing."""

    steps_done = 0

    def note(self, text: str) -> None:
        pass

    @contextmanager
    def loop(self, name: str, total: int, start: int, batch_size: int) -> Iterator[Report]:
        self.steps_done += total - start
        yield lambda step, losses: None


class _Trial:
    """Short fits of one cell; `pieces` are the steps, or images, of each."""

    def __init__(self, plan: Plan, cell: Cell, device: torch.device, precision: str, folder: Path) -> None:
        self.plan, self.cell, self.device, self.precision, self.folder = plan, cell, device, precision, folder
        self.settings = plan.settings(cell)
        self.pieces: dict[int, int] = {}
        self.steps = 0

    def fit(self, times: int) -> float:
        """Return the seconds of a fit of `times` steps, on a number of images that grows with them."""
        batch = int(self.settings.training["batch_size"])
        training = Training.from_config({**self.settings.training, "images_seen": times * batch})
        counter = _Counter("measure")
        seed = derive_seed(self.cell.seed, "measure")
        run = Run(self.device, self.precision, seed, training, Checkpoint(self.folder / "none.pt"), counter)
        train = made_up(self.settings, IMAGES * times, self.plan.kind(self.cell), self._classes())
        began = time.monotonic()
        shape = (self.settings.channels, self.settings.size, self.settings.size)
        self.detector: Detector = build_detector(self.settings.detector, shape, self.settings.options)
        run.prepare(self.detector)
        self.detector.fit(train, run)
        self._wait()
        self.steps = counter.steps_done
        self.pieces[times] = self.steps or len(train.images)
        return time.monotonic() - began

    def predict(self) -> float:
        """Return the seconds that the maps and scores of one test image take."""
        count = min(int(self.plan.protocol.export_batch), IMAGES)
        pixels = made_up(self.settings, count, self.plan.kind(self.cell), 1).images
        inputs = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        began = time.monotonic()
        with torch.no_grad():
            self.detector.eval().predict(inputs)
        self._wait()
        return (time.monotonic() - began) / count

    def _classes(self) -> int:
        return OTHER_CLASSES if self.plan.dataset(self.cell).class_protocol == "leave_one_out" else 1

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def made_up(settings: Settings, count: int, kind: str, classes: int) -> TrainingSet:
    """Return a training set of woven, noisy images: time depends on size and number, not on what is seen."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[: settings.size, : settings.size]
    weave = 128 + 60 * np.sin(rows / 5) * np.cos(columns / 7)

    def images(number: int) -> np.ndarray:
        noise = random.normal(0, 10, (number, settings.size, settings.size, settings.channels))
        return (weave[..., None] + noise).clip(0, 255).astype(np.uint8)

    held_out, anomalous = HELD_OUT * settings.validation, HELD_OUT * settings.weak
    labels = np.arange(count, dtype=np.int64) % classes
    return TrainingSet(images(count), labels, images(anomalous), images(held_out), kind)
