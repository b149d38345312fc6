"""The training loop beside anomalib's engine: the same network, images, batches and steps in both.

    python benchmarks/engine.py --anomalib /path/to/its/venv/bin/python [--images 64 --steps 24 --size 256 --rounds 3]

anomalib is no dependency: install it into an environment of its own (`pip install anomalib`) and name its interpreter.
The network is AE_L2's for RGB (1.08 M weights), batch 16, Adam, squared error, float32, two threads. Ours reads the
images from one prepared array and rotates and crops each batch; anomalib's Folder data module decodes and resizes the
PNG files anew in every epoch, in the training process, and augments nothing. Each contestant runs in a process of its
own; the first epoch is a warm-up and not counted. A ratio is the median over the rounds, contestants in turn.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BATCH = 16


def network(size: int) -> torch.nn.Module:
    from baselines.autoencoder import Autoencoder

    return Autoencoder(3, size)


def paint(folder: Path, images: int, size: int) -> None:
    """Write smooth noise as PNG files: they decode as slowly as photographs do."""
    (folder / "good").mkdir()
    generator = np.random.default_rng(0)
    for number in range(images):
        coarse = generator.integers(0, 256, (size // 8, size // 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(folder / f"good/{number:04}.png")


def ours(folder: Path, size: int, steps: int, warm: int) -> float:
    """Return images per second of `Run.loop`."""
    from harness.training.checkpoint import Checkpoint
    from harness.training.detector import Detector, Prediction
    from harness.training.loop import Phase, Run
    from harness.training.progress import Progress
    from harness.training.schedule import Augmentation, Training

    class Model(Detector):
        def __init__(self) -> None:
            super().__init__((3, size, size))
            self.network, self.times = network(size), list[float]()

        def fit(self, train, run):
            raise RuntimeError("the benchmark calls the loop itself")

        def predict(self, images):
            return Prediction(None, self.network(images).flatten(1).mean(1))

        def loss(self, batch):
            self.times.append(time.perf_counter())
            return {"loss": (self.network(batch.images) - batch.images).square().mean()}

    images = np.stack([np.asarray(Image.open(path)) for path in sorted((folder / "good").glob("*.png"))])
    augmentation = Augmentation(rotation=15, centre_crop=(0.9, 1.0))
    plan = Training(batch_size=BATCH, images_seen=(steps + warm) * BATCH, augmentation=augmentation)
    checkpoint = Checkpoint(folder / "checkpoint.pt", 1e9)
    run = Run(torch.device("cpu"), "float32", 0, plan, checkpoint, Progress("bench", seconds=1e9))
    model = Model()
    run.loop(model, images, [Phase(torch.optim.Adam(model.parameters(), lr=1e-4), model.loss)])
    return steps * BATCH / (time.perf_counter() - model.times[warm])


def theirs(folder: Path, size: int, steps: int, warm: int) -> float:
    """Return images per second of anomalib's Engine."""
    from anomalib import LearningType
    from anomalib.data import Folder
    from anomalib.engine import Engine
    from anomalib.models.components import AnomalibModule

    class Model(AnomalibModule):
        def __init__(self) -> None:
            super().__init__(pre_processor=False, post_processor=False, evaluator=False, visualizer=False)
            self.network, self.times = network(size), list[float]()

        def training_step(self, batch, *_args, **_more):
            self.times.append(time.perf_counter())
            return (self.network(batch.image) - batch.image).square().mean()

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-4)

        trainer_arguments = property(lambda _self: {})
        learning_type = property(lambda _self: LearningType.ONE_CLASS)

    data = Folder(
        "bench",
        "good",
        root=folder,
        train_batch_size=BATCH,
        num_workers=0,
        test_split_mode="none",
        val_split_mode="none",
    )
    model = Model()
    options = {"limit_val_batches": 0, "num_sanity_val_steps": 0, "enable_progress_bar": False, "barebones": False}
    engine = Engine(
        max_steps=steps + warm, max_epochs=-1, accelerator="cpu", default_root_dir=folder / "runs", **options
    )
    engine.fit(model, datamodule=data)
    return steps * BATCH / (time.perf_counter() - model.times[warm])


def child(arguments: argparse.Namespace) -> None:
    logging.disable()
    warnings.simplefilter("ignore")
    torch.set_num_threads(2)
    contestant = ours if arguments.child == "ours" else theirs
    rate = contestant(arguments.folder, arguments.size, arguments.steps, arguments.images // BATCH)
    print(json.dumps(rate))


def measure(name: str, python: str, folder: Path, arguments: argparse.Namespace) -> float:
    numbers = [word for key in ("images", "steps", "size") for word in (f"--{key}", str(getattr(arguments, key)))]
    command = [python, __file__, "--child", name, "--folder", str(folder), *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr.strip().splitlines()[-1]}")
    return float(json.loads(done.stdout.strip().splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anomalib", help="interpreter of an environment that has anomalib")
    for key, value in {"images": 64, "steps": 24, "size": 256, "rounds": 3}.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    parser.add_argument("--child", choices=["ours", "theirs"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
        return
    if not arguments.anomalib:
        parser.error("--anomalib: name the interpreter of an environment that has anomalib (pip install anomalib)")
    rates: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(arguments.rounds):
        for name, python in (("ours", sys.executable), ("theirs", arguments.anomalib)):
            with tempfile.TemporaryDirectory() as folder:
                paint(Path(folder), arguments.images, arguments.size)
                rates[name].append(measure(name, python, Path(folder), arguments))
    ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates["theirs"], strict=True))
    for name, title in (("ours", "this project's loop"), ("theirs", "anomalib's engine")):
        print(f"{title:20} {statistics.median(rates[name]):7.1f} images/s")
    print(f"{'ratio':20} {ratio:7.2f}")


if __name__ == "__main__":
    main()
