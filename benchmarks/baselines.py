"""Speed of fitting and predicting: images per second of every method in config/methods.yaml.

    python benchmarks/baselines.py                                     # at every size at which a table uses a method
    python benchmarks/baselines.py --methods lsa,ocgan --seconds 20 --protocol lite --sizes 32

Images are random, since no speed depends on what they show; networks and batches are those of the protocol. A fit is
first run on one batch, as a warm-up, then on as many images as fill `--seconds`; methods without a training loop are
timed on their whole (small) training set. Predictions are made in the protocol's batches for as long again, or one by
one where a batch would take minutes. On a CPU the clock is the process's own. `--against float32` measures each method
at that precision too, in turns, and prints how many times faster the protocol's is.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.cell import Cell, Settings
from harness.errors import FitError, UserError
from harness.records.plan import Plan
from harness.tables.layout import required_cells
from harness.tables.spec import load_table, table_ids
from harness.training.checkpoint import Checkpoint
from harness.training.detector import Detector, TrainingSet
from harness.training.device import choose_device, choose_precision, set_up
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.registry import build_detector
from harness.training.schedule import Training

IMAGES, HELD_OUT = 64, 8


class Counter(Progress):
    """Counts the images of a fit's loops instead of showing them."""

    def __init__(self) -> None:
        super().__init__("speed")
        self.images = 0

    def note(self, text: str) -> None:
        pass

    @contextmanager
    def loop(self, name, total, start, batch_size):
        self.images += total * batch_size
        yield lambda step, losses: None

    @contextmanager
    def steps(self, name, total=None):
        yield lambda items: None


def uses(plan: Plan, methods: list[str], sizes: list[int]) -> Iterator[Cell]:
    """Yield one cell per method and image size, of those that the tables need."""
    wanted = [cell for table in table_ids() for cell in required_cells(plan, load_table(table)) if cell[2] in methods]
    cells = [plan.cell(*cell, 0) for cell in wanted]
    seen: set[tuple[str, int]] = set()
    for cell in sorted(cells, key=lambda cell: (cell.method, plan.settings(cell).size)):
        place = cell.method, plan.settings(cell).size
        meant = plan.applies(cell)
        if meant and place not in seen and (not sizes or place[1] in sizes):
            seen.add(place)
            yield cell


def random_set(settings: Settings, kind: str, classes: int) -> TrainingSet:
    """Return random training images (N,S,S,C) of that many classes, and others as the method asks for them."""
    random = np.random.default_rng(0)
    shape = (settings.size, settings.size, settings.channels)

    def images(count: int) -> np.ndarray:
        return random.integers(0, 256, (count, *shape), dtype=np.uint8)

    labels = np.arange(IMAGES) % classes
    return TrainingSet(
        images(IMAGES), labels, images(HELD_OUT * settings.weak), images(HELD_OUT * settings.validation), kind
    )


class Contest:
    """One method at one size."""

    def __init__(self, plan: Plan, cell: Cell, device: torch.device, precision: str) -> None:
        self.settings, self.device = plan.settings(cell), device
        self.precision = choose_precision(precision, device)
        self.batch = plan.protocol.export_batch
        classes = 9 if plan.datasets[cell.source].class_protocol == "leave_one_out" else 1
        self.train = random_set(self.settings, plan.kind(cell), classes)

    def fit(self, images: int) -> tuple[Detector, int, float]:
        """Fit on so many images; return the detector, the images really seen, and seconds."""
        size, counter = self.settings.size, Counter()
        training = replace(Training.from_config(self.settings.training), images_seen=images)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint = Checkpoint(Path(folder) / "checkpoint.pt", math.inf)
            run = Run(self.device, self.precision, 0, training, checkpoint, counter)
            torch.manual_seed(0)
            shape = self.settings.channels, size, size
            detector = build_detector(self.settings.detector, shape, self.settings.options)
            run.prepare(detector)
            began = self._now()
            detector.fit(self.train, run)
            spent = self._now() - began
        return detector.eval(), counter.images or IMAGES, spent

    def fit_rate(self, seconds: float) -> tuple[Detector, float]:
        """Return a fitted detector, and images per second of a fit of about so many seconds."""
        batch = self.settings.training["batch_size"]
        detector, images, spent = self.fit(batch)
        if spent < seconds:
            detector, images, spent = self.fit(batch * math.ceil(seconds / spent))
        return detector, images / spent

    def predict_rate(self, detector: Detector, seconds: float) -> tuple[float, int]:
        """Return images per second of predictions on random images, and how many are predicted at a time.

        One image comes first, as a warm-up. Where a batch at its pace would take ten times `seconds`, single images
        are the measurement.
        """
        shape = self.batch, self.settings.channels, self.settings.size, self.settings.size
        images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(self.device)
        alone = self._predict(detector, images[:1])
        if alone * self.batch > 10 * seconds:
            return 1 / alone, 1
        times = [self._predict(detector, images)]
        while sum(times) < seconds:
            times.append(self._predict(detector, images))
        return len(times) * self.batch / sum(times), self.batch

    def _predict(self, detector: Detector, images: torch.Tensor) -> float:
        began = self._now()
        with torch.no_grad():
            detector.predict(images)
        return self._now() - began

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
            return time.perf_counter()
        return time.process_time()


def rates(contest: Contest, seconds: float) -> tuple[float, float, int]:
    """Return images per second of a fit and of predictions, and how many are predicted at a time."""
    detector, fitted = contest.fit_rate(seconds)
    return fitted, *contest.predict_rate(detector, seconds)


def line(contests: list[Contest], seconds: float) -> str:
    """Return the rates of the first contest; beside a second one, how many times faster it is (the median of three)."""
    turns = [[rates(contest, seconds) for contest in contests] for _ in range(3 if len(contests) > 1 else 1)]
    fitted, predicted, together = turns[0][0]
    text = f"{fitted:>15.1f}{predicted:>18.2f}{together:>13}"
    if len(contests) > 1:
        text += "".join(f"{median(turn[0][part] / turn[1][part] for turn in turns):>14.2f}" for part in (0, 1))
    return text


def words(text: str) -> list[str]:
    return text.split(",")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", type=words, help="ids separated by commas; all if not given")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each fit, and of its predictions")
    parser.add_argument("--protocol", default="paper")
    parser.add_argument("--sizes", type=words, default=[], help="of the images, separated by commas; all if not given")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--against", metavar="PRECISION", help="float32 or bfloat16, to be compared with")
    parser.add_argument("--threads", type=int, help="on a CPU; the protocol's if not given")
    options = parser.parse_args()
    plan, device = Plan.load(options.protocol), choose_device(options.device)
    set_up(device, options.threads or plan.protocol.threads, deterministic=False)
    print(f"protocol {options.protocol}, device {device}, {torch.get_num_threads()} threads")
    heads = f"{'method':<16}{'size':>5}{'batch':>7}{'fit images/s':>15}{'predict images/s':>18}{'at a time':>13}"
    print(heads + (f"{'fit, times':>14}{'predict, times':>14}" if options.against else ""))
    for cell in uses(plan, options.methods or list(plan.methods), [int(size) for size in options.sizes]):
        precisions = [plan.protocol.precision, *([options.against] if options.against else [])]
        contests = [Contest(plan, cell, device, precision) for precision in precisions]
        settings = contests[0].settings
        head = f"{cell.method:<16}{settings.size:>5}{settings.training['batch_size']:>7}"
        try:
            print(head + line(contests, options.seconds), flush=True)
        except (FitError, UserError) as error:
            print(f"{head}  failed: {error}", flush=True)


if __name__ == "__main__":
    main()
