"""Which reading of CAVGA-R_u's attention is the default? Chosen on painted defects, never on the test set's.

    python benchmarks/attention.py choose work/data/lite/mvtec_ad/bottle/128px --epochs 15
    python benchmarks/attention.py choose work/data/lite/mvtec_ad/bottle/128px --epochs 50 --fits min_max --test
    python benchmarks/attention.py show

`choose` trains on a prepared category's normal training images without those held out for validation. Every held-out
image is shown as it is and once with each of the demo's five kinds of defect painted on it; on these the maps are
graded. `--test` grades the same maps on the category's test images as well: to be reported, not to be chosen by.

A fit is named by how A is made in training (`FITS`); each gives one map for every reading at test (`MAPS`). The
schedule is the printed one, ended after `--epochs` epochs: the rate falls to a tenth after 30, 60, … of them.
Results go to work/attention/<category>/; `show` prints them as Markdown.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cavga.detector import Cavga
from cavga.reading import Reader
from harness.data.demo.defects import KINDS
from harness.data.prepared import Prepared
from harness.metrics.image import image_auroc
from harness.training.checkpoint import Checkpoint
from harness.training.detector import TrainingSet
from harness.training.device import choose_device, choose_precision, set_up
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.schedule import Augmentation, Training
from harness.training.seeds import derive_seed
from harness.training.state import load_state, save_state

FOLDER = Path(__file__).resolve().parents[1] / "work" / "attention"
FITS: dict[str, dict[str, Any]] = {
    "min_max": {},
    "min_max of the batch": {"attention": {"over": "batch"}},
    "standardised sigmoid": {"attention": {"normalisation": "standardised_sigmoid"}},
    "ReLU ÷ maximum": {"attention": {"normalisation": "share_of_max"}},
    "sigmoid": {"attention": {"normalisation": "sigmoid"}},
    "sigmoid of layer 20": {"attention": {"normalisation": "sigmoid", "target": "mu"}},
    "without L_ae": {"expansion": False},
    "untrained": {},
}
MAPS: dict[str, dict[str, Any]] = {
    "min-max, image": {"normalisation": "min_max"},
    "min-max, data": {"normalisation": "min_max", "over": "data"},
    "standardised sigmoid, image": {"normalisation": "standardised_sigmoid"},
    "standardised sigmoid, data": {"normalisation": "standardised_sigmoid", "over": "data"},
    "ReLU ÷ maximum, image": {"normalisation": "share_of_max"},
    "ReLU ÷ maximum, data": {"normalisation": "share_of_max", "over": "data"},
    "sigmoid": {"normalisation": "sigmoid"},
    "sigmoid, layer 20": {"normalisation": "sigmoid", "target": "mu"},
    "min-max, layer 20": {"normalisation": "min_max", "target": "mu"},
    "min-max, layer 21": {"normalisation": "min_max", "target": "logvar", "scalar": "sum_logvar"},
    "min-max, squared mu": {"normalisation": "min_max", "scalar": "squared_mu"},
    "min-max, each channel": {"normalisation": "min_max", "scalar": "each_mu"},
    "min-max, z sampled": {"normalisation": "min_max", "scalar": "sum_z", "sampled": True},
    "min-max, stride 8": {"normalisation": "min_max", "target": "stride_8"},
    "min-max, stride 4": {"normalisation": "min_max", "target": "stride_4"},
    "A, min-max": {"normalisation": "min_max", "opposite": True},
    "A, min-max, each channel": {"normalisation": "min_max", "scalar": "each_mu", "opposite": True},
}
MAPS = {name: {"target": "features", "scalar": "sum_mu", "relu": False} | own for name, own in MAPS.items()}
MEASURES = {"auroc": "pixel AuROC", "iou": "IoU at 0.5", "best_iou": "best IoU", "marked": "marked"}


def painted(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the images (N,H,W,3) as they are and with each kind of defect off the border, and the masks."""
    side, margin = images.shape[1], 30
    pixels, masks = list(images), [np.zeros(images.shape[1:3], bool)] * len(images)
    for number, image in enumerate(images):
        for kind, paint in KINDS.items():
            rng = np.random.default_rng(derive_seed(seed, "painted", kind, number))
            across, down = rng.uniform(margin, side - margin, 2)
            changed, mask = paint(image, (float(across), float(down)), rng)
            pixels.append(changed)
            masks.append(mask)
    return np.stack(pixels), np.stack(masks)


def build(name: str, side: int, options: argparse.Namespace) -> Cavga:
    extra = {"encoder": options.encoder, "encoder_weights": options.weights, "maps": MAPS}
    return Cavga((3, side, side), **(extra | FITS[name]))


def train(name: str, data: Prepared, options: argparse.Namespace, path: Path) -> Cavga:
    """Fit, or load the weights that this very command has left before."""
    training = TrainingSet(**data.training_arrays(0, validation=True, weak=False))
    side, weights = training.images.shape[1], path.with_suffix(".safetensors")
    if weights.exists():
        detector = build(name, side, options)
        load_state(detector, weights)
        return detector.eval()
    plan = Training(
        epochs=options.epochs, batch_size=16, learning_rate=0.0 if name == "untrained" else 1e-4,
        lr_decay_every=30 / options.epochs, lr_factor=0.1,
        augmentation=Augmentation(rotation=15, centre_crop=(0.9, 1.0)),
    )  # fmt: skip
    device = choose_device("cpu")
    set_up(device, 1, deterministic=True)
    run = Run(
        device, choose_precision("auto", device), derive_seed(options.seed, "attention"), plan,
        Checkpoint(path.with_suffix(".pt"), math.inf), Progress(name, path.with_suffix(".jsonl")),
    )  # fmt: skip
    run.reseed("build")
    detector = build(name, side, options)
    detector.fit(training, run)
    save_state(detector, weights)
    return detector.eval()


def batches(images: np.ndarray) -> Iterator[torch.Tensor]:
    for start in range(0, len(images), 16):
        torch.manual_seed(start)
        yield torch.from_numpy(np.array(images[start : start + 16])).permute(0, 3, 1, 2).float() / 255


def predictions(detector: Cavga, images: np.ndarray) -> Iterator[dict[str, np.ndarray]]:
    for pixels in batches(images):
        maps = detector.predict(pixels).maps
        assert isinstance(maps, dict)
        yield {name: value.numpy() for name, value in maps.items()}


def grade(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Return the measures of maps (N,H,W), pooled over all pixels. The best IoU is sought at 101 thresholds."""
    levels = np.linspace(0, 1, 101)
    counts = np.stack([np.histogram(maps[masks == truth], np.append(levels, np.inf))[0] for truth in (False, True)])
    marked = counts[:, ::-1].cumsum(1)[:, ::-1]
    iou = marked[1] / np.maximum(marked[0] + masks.sum(), 1)
    return {
        "auroc": image_auroc(maps.ravel().astype(float), masks.ravel()) or math.nan,
        "iou": float(iou[50]), "best_iou": float(iou.max()), "marked": float(marked[:, 50].sum() / masks.size),
    }  # fmt: skip


def lowest_cells(detector: Cavga, images: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    """Return where A has its lowest cell: in how many images the commonest one is it, and how often it is on a defect.

    "by chance" is how often a cell drawn at random would touch it.
    """
    reading = detector.readings["min-max, image"]
    places = np.concatenate([
        Reader(detector.model, pixels).raw(reading).flatten(1).argmin(1).numpy() for pixels in batches(images)
    ])  # fmt: skip
    side = round(detector.model.cells**0.5)
    step = images.shape[1] // side
    touched = masks.reshape(len(masks), side, step, side, step).any((2, 4)).reshape(len(masks), -1)
    flawed = touched.any(1)
    return {
        "images": len(images), "in the commonest cell": int(np.bincount(places).max()), "cells": len(np.unique(places)),
        "flawed": int(flawed.sum()), "touches": int(touched[flawed, places[flawed]].sum()),
        "by chance": float(touched[flawed].mean(1).sum()),
    }  # fmt: skip


def choose(options: argparse.Namespace) -> None:
    data = Prepared.open(options.data)
    held_out = data.training_arrays(0, validation=True, weak=False)["validation"]
    sets = {"painted": painted(held_out, 0)}
    if options.test:
        masks = data.masks
        assert masks is not None
        sets["test"] = np.asarray(data.test), np.asarray(masks, bool)
    for name in options.fits:
        words = (name, options.epochs, options.encoder, options.weights, options.seed)
        path = FOLDER / options.data.parent.name / f"{'-'.join(map(str, words))}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        detector = train(name, data, options, path)
        result: dict[str, Any] = {"fit": name, "epochs": options.epochs, "seconds": time.process_time() - began}
        for title, (images, masks) in sets.items():
            parts = list(predictions(detector, images))
            graded = {m: grade(np.concatenate([part[m] for part in parts]), masks) for m in MAPS}
            result[title] = {"lowest": lowest_cells(detector, images, masks), "maps": graded}
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        show([path])


def show(paths: list[Path]) -> None:
    """Print one Markdown table for each fit and set of images, the best IoU at 0.5 first."""
    for path in paths:
        result = json.loads(path.read_text())
        print(f"\n{path.parent.name}, A in training: {path.stem}; {result['seconds']:.0f} s")
        for title in ("painted", "test"):
            if title not in result:
                continue
            low = result[title]["lowest"]
            print(
                f"\n{title}: the lowest cell is the same in {low['in the commonest cell']} of {low['images']} images; "
                f"it touches the defect in {low['touches']} of {low['flawed']}, by chance {low['by chance']:.0f}\n"
                f"\n| {title}: map | {' | '.join(MEASURES.values())} |\n|---{'|---' * len(MEASURES)}|"
            )
            for name, found in sorted(result[title]["maps"].items(), key=lambda item: -item[1]["iou"]):
                print(f"| {name} | " + " | ".join(f"{found[measure]:.3f}" for measure in MEASURES) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    chooser = verbs.add_parser("choose")
    chooser.add_argument("data", type=Path, help="a prepared category's folder")
    chooser.add_argument("--fits", nargs="+", choices=FITS, default=list(FITS))
    chooser.add_argument("--epochs", type=int, default=15)
    chooser.add_argument("--seed", type=int, default=0)
    chooser.add_argument("--encoder", default="efficientnet_lite0", choices=["efficientnet_lite0", "resnet18"])
    chooser.add_argument("--weights", default="imagenet", choices=["imagenet", "none"])
    chooser.add_argument("--test", action="store_true", help="grade the test images too")
    verbs.add_parser("show")
    options = parser.parse_args()
    if options.verb == "choose":
        choose(options)
    else:
        show(sorted(FOLDER.glob("*/*.json")))


if __name__ == "__main__":
    main()
