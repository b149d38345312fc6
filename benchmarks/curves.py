"""How a baseline's measure grows with the images that it has seen, on held-out normal training images.

    python benchmarks/curves.py mvtec_ad bottle lsa,advae --seen 3000,6000,12000,24000
    python benchmarks/curves.py mnist_leave_one_out 8 beta_vae --shares 0.25,0.5,1,2,4

The reported test images are never read. Categories with maps: every fifth training image is held out, once as it is
and once with one of the demo's painted defects; the measures are the pixel AuROC and the best IoU. Sets of classes:
one in ten images of each normal class is held out (at most 500 in all), beside as many training images of what is
anomalous there; the measure is the image AuROC. A method with a constant rate is trained once and looked at on the
way; one whose rate or objective changes during the run starts again for every point. Prepare the data first, the sets
of classes as one class.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.optim import Optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from harness.data.demo.defects import KINDS
from harness.data.prepared import Prepared
from harness.records.plan import Cell, Plan
from harness.training.checkpoint import Checkpoint, Rates
from harness.training.detector import Detector, TrainingSet
from harness.training.device import choose_device, choose_precision, set_up
from harness.training.hooks import Hook
from harness.training.loop import Run
from harness.training.predict import named
from harness.training.predict import resized as enlarged
from harness.training.progress import Progress
from harness.training.registry import build_detector
from harness.training.schedule import Training
from harness.training.seeds import derive_seed
from harness.training.state import load_state

BATCH, MOST = 32, 500


class Going(Checkpoint):
    """Keeps the end of one fit in memory, where the next and longer one goes on."""

    def __init__(self) -> None:
        super().__init__(Path("never written"), math.inf)
        self.kept: tuple[int, dict[str, Any], list[dict[str, Any]]] | None = None

    def restore(
        self, name: str, detector: Detector, optimizers: Sequence[Optimizer], total: int, hooks: Sequence[Hook] = ()
    ) -> tuple[int, Rates]:
        rates = [[float(group["lr"]) for group in optimizer.param_groups] for optimizer in optimizers]
        if self.kept is None:
            return 0, rates
        step, weights, states = self.kept
        load_state(detector, weights)
        for optimizer, state in zip(optimizers, states, strict=True):
            optimizer.load_state_dict(copy.deepcopy(state))
        return step, rates

    def finish(self, name: str, detector: Detector, optimizers: Sequence[Optimizer], total: int, rates: Rates) -> None:
        states = [copy.deepcopy(optimizer.state_dict()) for optimizer in optimizers]
        self.kept = total, copy.deepcopy(detector.state_dict()), states


@dataclass(frozen=True)
class Held:
    """Held-out images uint8 (N,S,S,C) at the fit's size, which are anomalous (N,), and masks (N,P,P) or None."""

    images: np.ndarray
    anomalous: np.ndarray
    masks: np.ndarray | None


def painted(plan: Plan, cell: Cell) -> tuple[TrainingSet, Held]:
    """Split a category's normal images and paint defects on copies of the held-out ones."""
    settings, side = plan.settings(cell), plan.protocol.datasets[cell.dataset].size
    images = np.array(Prepared.open(plan.data_folder(cell, side)).train)
    held = images[::5]
    rng = np.random.default_rng(derive_seed(0, "curves", cell.category))
    copies, masks = [], np.zeros((2 * len(held), side, side), bool)
    for number, pixels in enumerate(held):
        angle, radius = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3 * side)
        centre = side / 2 + radius * math.cos(angle), side / 2 + radius * math.sin(angle)
        kind = list(KINDS.values())[number % len(KINDS)]
        defective, mask = kind(pixels, centre, rng)
        copies.append(defective)
        masks[len(held) + number] = mask
    train = np.delete(images, np.s_[::5], axis=0)
    anomalous = np.repeat([False, True], len(held))
    seen = resized(np.concatenate([held, copies]), settings.size)
    return training_set(resized(train, settings.size), None, settings.validation, plan.kind(cell)), Held(
        seen, anomalous, masks
    )


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Bring uint8 images (N,S,S,C) to another side."""
    if images.shape[1] == side:
        return images
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    small = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True)
    return small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()


def classes(plan: Plan, cell: Cell) -> tuple[TrainingSet, Held]:
    """Make a set of classes from the training images of all of them, under the cell's class protocol."""
    source = cell.dataset.removesuffix("_leave_one_out")
    alone = cell.dataset == source
    names = list(plan.categories(source))
    folders = [plan.data_folder(replace(cell, dataset=source, source=source, category=name)) for name in names]
    arrays = {name: np.array(Prepared.open(folder).train) for name, folder in zip(names, folders, strict=True)}
    normal = [name for name in names if (name == cell.category) == alone]
    each = MOST // len(normal)
    train = [np.delete(arrays[name], np.s_[: 10 * each : 10], axis=0) for name in normal]
    good = [arrays[name][: 10 * each : 10] for name in normal]
    others = [arrays[name][: MOST // (len(names) - len(normal))] for name in names if name not in normal]
    labels = np.repeat(np.arange(len(normal)), [len(part) for part in train])
    seen = np.concatenate([*good, *others])
    anomalous = np.arange(len(seen)) >= sum(map(len, good))
    data = training_set(np.concatenate(train), labels, plan.settings(cell).validation, "object")
    return data, Held(seen, anomalous, None)


def training_set(images: np.ndarray, labels: np.ndarray | None, validation: bool, kind: str) -> TrainingSet:
    """Hold every tenth image out for the methods that ask for validation images."""
    labels = np.zeros(len(images), np.int64) if labels is None else labels
    away = np.arange(len(images)) % 10 == 5 if validation else np.zeros(len(images), bool)
    return TrainingSet(images[~away], labels[~away], images[:0], images[away], kind)


def look(detector: Detector, held: Held, score: str) -> dict[str, float]:
    """Return the measures of a fitted detector on held-out images."""
    maps, scores = [], []
    with torch.no_grad():
        for start in range(0, len(held.images), BATCH):
            torch.manual_seed(derive_seed(0, "curves", start))
            pixels = torch.from_numpy(held.images[start : start + BATCH]).permute(0, 3, 1, 2).float().div_(255)
            found = detector.predict(pixels)
            scores.append(named(found.scores)[score])
            if held.masks is not None and isinstance(found.maps, Tensor):
                maps += list((enlarged(found.maps, held.masks.shape[1]) or {}).values())
    measures = {"image_auroc": float(roc_auc_score(held.anomalous, np.concatenate(scores)))}
    if held.masks is not None and maps:
        truth, values = held.masks.ravel(), np.concatenate(maps).ravel()
        measures |= {"pixel_auroc": float(roc_auc_score(truth, values)), "best_iou": best_iou(truth, values)}
    return measures


def best_iou(truth: np.ndarray, values: np.ndarray) -> float:
    """Return the largest IoU over all thresholds."""
    hits = np.cumsum(truth[np.argsort(-values, kind="stable")])
    return float((hits / (np.arange(1, len(truth) + 1) + truth.sum() - hits)).max())


def curve(plan: Plan, cell: Cell, seen: list[int], shares: list[float], log: Path) -> None:
    """Fit to each budget in turn and print one line each."""
    settings, method = plan.settings(cell), plan.methods[cell.method]
    train, held = (classes if plan.protocol.datasets[cell.dataset].size == 32 else painted)(plan, cell)
    device = choose_device("cpu")
    precision = choose_precision(plan.protocol.precision, device)
    budget, checkpoint = int(settings.training["images_seen"]), Going()
    spent = 0.0
    for images in seen or [round(budget * share) for share in shares]:
        training = replace(Training.from_config(settings.training), images_seen=images)
        run = Run(device, precision, derive_seed(0, "curves", cell.method), training, checkpoint, Progress("curves"))
        run.reseed("build")
        shape = (settings.channels, settings.size, settings.size)
        detector = run.prepare(build_detector(settings.detector, shape, settings.options))
        if training.lr_factor != 1 or getattr(detector, "warm_up", 0):
            checkpoint.kept, spent = None, 0.0
        began = time.process_time()
        detector.fit(train, run)
        spent += time.process_time() - began
        began = time.process_time()
        measures = look(detector.eval(), held, method.score or "")
        line = {
            "cell": [cell.dataset, cell.category, cell.method], "seen": images, "budget": budget,
            "fit_seconds": round(spent, 1), "predict_per_s": round(len(held.images) / (time.process_time() - began), 1),
            "precision": precision, "flaw": detector.flaw, **{key: round(value, 4) for key, value in measures.items()},
        }  # fmt: skip
        print(json.dumps(line), flush=True)
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")


def numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset")
    parser.add_argument("category")
    parser.add_argument("methods")
    parser.add_argument("--protocol", default="lite")
    parser.add_argument("--seen", type=numbers, default=[], help="images seen, rising; else shares of the budget")
    parser.add_argument("--shares", type=lambda text: [float(share) for share in text.split(",")], default=[0.5, 1, 2])
    parser.add_argument("--log", type=Path, default=Path("work/curves.jsonl"))
    options = parser.parse_args()
    plan = Plan.load(options.protocol)
    set_up(choose_device("cpu"), 1, deterministic=True)
    for method in options.methods.split(","):
        curve(plan, plan.cell(options.dataset, options.category, method, 0), options.seen, options.shares, options.log)


if __name__ == "__main__":
    main()
