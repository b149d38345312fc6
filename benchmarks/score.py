"""Which reading of CAVGA-D_u's objective is the default at 32²? Chosen on altered normal images, not on other classes.

    python benchmarks/score.py work/data/lite/mnist/5/32px work/data/lite/mnist/0/32px

Trains on a class's normal training images without those held out for validation, with lite's budget. Every held-out
image is scored as it is and altered in each of five ways (`ALTERED`); the image AuROC of the altered among the plain is
what a reading is chosen by. No image of another class is seen, neither in training nor in choosing. Beside it the
mean score of the unaltered: what is left of the reconstruction error. Results go to work/score/<class>/ and are printed
as Markdown; a fit that is there is not repeated.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cavga.detector import Cavga
from harness.data.prepared import Prepared
from harness.metrics.image import image_auroc
from harness.training.checkpoint import Checkpoint
from harness.training.detector import TrainingSet
from harness.training.device import choose_device, choose_precision, set_up
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.schedule import Augmentation, Training
from harness.training.seeds import derive_seed

FOLDER = Path(__file__).resolve().parents[1] / "work" / "score"
READINGS: dict[str, dict[str, Any]] = {
    "means": {},
    "sums": {"reduction": "sum", "kl_reduction": "sum"},
    "KL by latents": {"kl_reduction": "latents"},
    "minimax game": {"game": "minimax"},
    "three halvings": {"depth": 3},
    "without the discriminator": {"weights": {"adv": 0.0}},
}
BUDGET = Training(images_seen=9600, batch_size=16, learning_rate=1e-3, lr_factor=1.0, augmentation=Augmentation())


def erased(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Black out a quarter of the side where the image is not black."""
    changed, side = images.copy(), images.shape[1] // 4
    for image in changed:
        rows, columns = np.nonzero(image.max(-1) > 127)
        chosen = rng.integers(len(rows)) if len(rows) else None
        if chosen is not None:
            top, left = max(rows[chosen] - side // 2, 0), max(columns[chosen] - side // 2, 0)
            image[top : top + side, left : left + side] = 0
    return changed


def stroked(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a straight white stroke, two pixels wide, between two points."""
    changed, side = images.copy(), images.shape[1]
    for image in changed:
        ends = rng.uniform(side / 5, side - side / 5, (2, 2))
        points = np.linspace(ends[0], ends[1], 4 * side).astype(int)
        for shift in (0, 1):
            image[points[:, 0], points[:, 1] + shift] = 255
    return changed


def swapped(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exchange the left and the right half."""
    return np.roll(images, images.shape[2] // 2, axis=2)


ALTERED: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "turned by 90°": lambda images, rng: np.rot90(images, axes=(1, 2)).copy(),
    "upside down": lambda images, rng: images[:, ::-1].copy(),
    "halves swapped": swapped,
    "patch erased": erased,
    "stroke added": stroked,
}


def scores(detector: Cavga, images: np.ndarray) -> np.ndarray:
    """Return the image scores (N,) of images (N,H,W,C)."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    found = [detector.predict(part).scores for part in torch.split(pixels, 64)]
    return torch.cat([part for part in found if isinstance(part, torch.Tensor)]).double().numpy()


def train(options: dict[str, Any], data: Prepared, seed: int, path: Path) -> Cavga:
    training = TrainingSet(**data.training_arrays(0, validation=True, weak=False))
    device = choose_device("cpu")
    set_up(device, 1, deterministic=True)
    run = Run(
        device, choose_precision("auto", device), derive_seed(seed, "score"), BUDGET,
        Checkpoint(path.with_suffix(".pt"), math.inf), Progress(path.stem, path.with_suffix(".jsonl")),
    )  # fmt: skip
    run.reseed("build")
    _, height, width, channels = training.images.shape
    detector = Cavga((channels, height, width), architecture="D", **options)
    detector.fit(training, run)
    return detector.eval()


def choose(folder: Path, name: str, seed: int) -> dict[str, float]:
    """Return the AuROC of each way to alter a held-out image, their mean, and the mean score of the unaltered."""
    path = FOLDER / folder.parent.name / f"{name}-{seed}.json"
    if path.exists():
        found: dict[str, float] = json.loads(path.read_text())
        return found
    path.parent.mkdir(parents=True, exist_ok=True)
    data = Prepared.open(folder)
    normal = np.asarray(data.training_arrays(0, validation=True, weak=False)["validation"])
    detector, rng = train(READINGS[name], data, seed, path), np.random.default_rng(derive_seed(0, "altered"))
    plain, found = scores(detector, normal), {}
    for title, alter in ALTERED.items():
        both = np.concatenate([plain, scores(detector, alter(normal, rng))])
        found[title] = image_auroc(both, np.arange(len(both)) >= len(plain)) or math.nan
    found["mean"] = float(np.mean(list(found.values())))
    found["unaltered score"] = float(plain.mean())
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", help="prepared classes' folders")
    parser.add_argument("--readings", nargs="+", choices=READINGS, default=list(READINGS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    heads = [*ALTERED, "mean", "unaltered score"]
    print(f"| class | reading | {' | '.join(heads)} |\n|---|---{'|---' * len(heads)}|")
    for folder in options.data:
        for name in options.readings:
            found = choose(folder, name, options.seed)
            print(
                f"| {folder.parent.name} | {name} | " + " | ".join(f"{found[head]:.3f}" for head in heads) + " |",
                flush=True,
            )


if __name__ == "__main__":
    main()
