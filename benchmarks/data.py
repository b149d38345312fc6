"""Speed and memory of preparing data, beside Pillow alone.

    CAVGA_DATA=/data/anomaly python benchmarks/data.py             # all that is there
    python benchmarks/data.py --repeats 5 --cores 4 --frames 6000

bottle   decode and resize MVTec AD's bottle to 256²: the preparing stage, and Pillow's decoding and resizing alone on
         as many threads. MNIST: all ten classes. CIFAR-10: one class, as batches or as a tree of 60,000 images. Again:
         the same calls once more, which find nothing to do.
scene    a painted scene in ShanghaiTech's layout (480×856), prepared in a process of its own: its peak memory, which
         must not grow with `--frames`.

Seconds are the best of `--repeats`, contestants in turn, so that a busy machine slows all of them alike.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.config import load_config, load_datasets  # noqa: E402 - the repository must be on the path first
from harness.data.availability import available  # noqa: E402
from harness.data.fetch import fetch  # noqa: E402
from harness.data.prepare import prepare  # noqa: E402
from harness.data.preparing import Preparing  # noqa: E402
from harness.data.sources import raw_folder  # noqa: E402

DATASETS = load_datasets(load_config({"data_root": None}))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(name: str, category: str, work: Path, size: int, channels: int, cores: int, fresh: bool = True) -> None:
    out = work / "data" / name / category
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    prepare(DATASETS[name], category, raw_folder(DATASETS[name], work), out, Preparing(size, channels), cores)


def pillow_alone(images: list[Path], masks: list[Path], cores: int) -> None:
    def decode(path: Path) -> None:
        with Image.open(path) as image:
            image.resize((256, 256), Image.Resampling.LANCZOS)

    def decode_mask(path: Path) -> None:
        with Image.open(path) as image:
            image.resize((256, 256), Image.Resampling.NEAREST)

    with ThreadPoolExecutor(cores) as pool:
        list(pool.map(decode, images))
        list(pool.map(decode_mask, masks))


def bottle(work: Path, cores: int, repeats: int) -> None:
    pictures = sorted(raw_folder(DATASETS["mvtec_ad"], work).rglob("*.png"))
    masks = [path for path in pictures if "ground_truth" in path.parts]
    images = [path for path in pictures if "ground_truth" not in path.parts]
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(seconds(lambda: pillow_alone(images, masks, cores)))
        ours.append(seconds(lambda: run("mvtec_ad", "bottle", work, 256, 3, cores)))
    again = seconds(lambda: run("mvtec_ad", "bottle", work, 256, 3, cores, fresh=False))
    print(
        f"bottle   {len(images)} images, {len(masks)} masks, {cores} threads: prepare {min(ours):.2f} s, "
        f"Pillow alone {min(theirs):.2f} s, ratio {min(ours) / min(theirs):.2f} (at most 1.3); again {again:.3f} s"
    )


def mnist(work: Path, cores: int, repeats: int) -> None:
    def all_classes(fresh: bool = True) -> None:
        for category in DATASETS["mnist"]["categories"]:
            run("mnist", category, work, 32, 1, cores, fresh)

    best = min(seconds(all_classes) for _ in range(repeats))
    again = seconds(lambda: all_classes(fresh=False))
    print(f"MNIST    ten classes at 32²: {best:.2f} s (below 10); again {again:.3f} s (below 1)")


def cifar(work: Path, cores: int, repeats: int) -> None:
    first = seconds(lambda: run("cifar10", "0", work, 32, 3, cores))
    again = min(seconds(lambda: run("cifar10", "0", work, 32, 3, cores, fresh=False)) for _ in range(repeats))
    print(f"CIFAR-10 one class at 32²: {first:.2f} s; again {again:.3f} s (below 1)")


def paint_scene(folder: Path, frames: int) -> None:
    """Two training videos and one test clip of `frames` frames each, 480×856."""
    from tests import painters

    for number in (1, 2):
        painters.video(folder / f"training/videos/01_{number:03}.avi", frames, (856, 480))
    picture = np.asarray(Image.fromarray(painters.picture(1, 64)).resize((856, 480)))
    first = painters.save(folder / "testing/frames/01_0014/00000.jpg", picture)
    for number in range(1, frames):
        os.link(first, first.with_name(f"{number:05}.jpg"))
    for kind in ("test_pixel_mask", "test_frame_mask"):
        (folder / "testing" / kind).mkdir(parents=True)
    flags = (np.arange(frames) >= frames // 2).astype(np.uint8)
    np.save(folder / "testing/test_frame_mask/01_0014.npy", flags)
    shape = (frames, 480, 856)
    masks = np.lib.format.open_memmap(folder / "testing/test_pixel_mask/01_0014.npy", "w+", np.uint8, shape)
    masks[frames // 2 :, 100:200, 300:400] = 1
    masks.flush()


def scene(work: Path, cores: int, frames: int) -> None:
    paint_scene(work / "root" / "mstc", frames)
    command = [sys.executable, __file__, "--scene", str(work), "--cores", str(cores)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(f"scene    3 clips of {frames} frames 480×856, every fifth at 256², {cores} threads: {done.stdout.strip()}")


def measure_scene(work: Path, cores: int) -> None:
    fetch(DATASETS["mstc"], work / "root", raw_folder(DATASETS["mstc"], work), "01")
    took = seconds(lambda: run("mstc", "01", work, 256, 3, cores))
    # getrusage would count the memory of the process that started this one
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    written = sum(path.stat().st_size for path in (work / "data/mstc/01").iterdir()) / 1e6
    print(f"{took:.1f} s, peak memory {peak:.0f} MB (below 1000), {written:.0f} MB of arrays")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--frames", type=int, default=1500)
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)
    arguments: Any = parser.parse_args()
    if arguments.scene:
        measure_scene(arguments.scene, arguments.cores)
        return
    root = Path(os.environ["CAVGA_DATA"]) if os.environ.get("CAVGA_DATA") else None
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for name, category, what in (("mvtec_ad", "bottle", bottle), ("mnist", None, mnist), ("cifar10", "0", cifar)):
            entry = DATASETS[name]
            missing = available(entry, category or "0", root, raw_folder(entry, work))
            if missing:
                print(f"{name}: {missing}")
                continue
            took = seconds(lambda e=entry, c=category: fetch(e, root, raw_folder(e, work), c))
            print(f"{name}: found, checked and unpacked in {took:.1f} s")
            what(work, arguments.cores, arguments.repeats)
        scene(work, arguments.cores, arguments.frames)


if __name__ == "__main__":
    main()
