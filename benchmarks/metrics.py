"""Speed and peak memory of the pixel engine beside scikit-learn and torchmetrics, on the same pixels.

    python benchmarks/metrics.py                                   # 5·10⁷ pixels
    python benchmarks/metrics.py --pixels 5e6 --torchmetrics 1e6 --repeats 5

The pixels are smooth noise with contiguous defects of about 3 %, as a detector's maps have them. Every contestant runs
in a process of its own, once on few pixels, then `--repeats` times on all; seconds are the best of these. Memory is the
highest resident size meanwhile, above what the process held with its inputs. The pixel engine also gives average
precision and the best IoU in its time, the others AuROC only.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
SIDE = 256
Pixels = tuple[NDArray, NDArray]
Contestant = tuple[Callable[[NDArray, NDArray], float], Callable[[NDArray], NDArray]]


def make_pixels(count: int) -> Pixels:
    """Return codes, uint16, and mask, uint8, both (count,), as the images of a test set one after the other."""
    generator = np.random.default_rng(0)
    images = -(-count // SIDE**2)
    codes, masks = np.empty((images, SIDE, SIDE), np.uint16), np.zeros((images, SIDE, SIDE), np.uint8)
    for number in range(images):
        if number % 4:
            row, column = generator.integers(0, SIDE - 50, 2)
            masks[number, row : row + 50, column : column + 52] = 1
        noise = generator.standard_normal((SIDE, SIDE), np.float32)
        smooth = 0.35 + gaussian_filter(noise, 3) + np.float32(0.1) * masks[number]
        codes[number] = np.rint(np.clip(smooth, 0, 1) * 65535)
    return codes.reshape(-1)[:count], masks.reshape(-1)[:count]


def engine(codes: NDArray, mask: NDArray) -> float:
    from harness.metrics.histogram import PixelHistogram

    histogram = PixelHistogram()
    histogram.add(codes, mask)
    return grade(histogram)


def engine_by_image(codes: NDArray, mask: NDArray) -> float:
    from harness.metrics.histogram import PixelHistogram

    histogram = PixelHistogram()
    for start in range(0, codes.size, SIDE**2):
        histogram.add(codes[start : start + SIDE**2], mask[start : start + SIDE**2])
    return grade(histogram)


def grade(histogram) -> float:
    curves = histogram.curves()
    curves.average_precision(), curves.best_iou()
    return curves.auroc()


def scikit_learn(values: NDArray, mask: NDArray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(mask, values))


def torchmetrics(values: NDArray, mask: NDArray) -> float:
    import torch
    from torchmetrics.functional.classification import binary_auroc

    return float(binary_auroc(torch.from_numpy(values), torch.from_numpy(mask), thresholds=None))


def same(codes: NDArray) -> NDArray:
    return codes


def as_float(codes: NDArray) -> NDArray:
    return codes.astype(np.float32) / np.float32(65535)


CONTESTANTS: dict[str, Contestant] = {
    "pixel engine": (engine, same),
    "pixel engine, image by image": (engine_by_image, same),
    "scikit-learn roc_auc_score, float32": (scikit_learn, as_float),
    "scikit-learn roc_auc_score, uint16": (scikit_learn, same),
    "torchmetrics binary_auroc, float32": (torchmetrics, as_float),
}


def status(key: str) -> int | None:
    """Return a size in bytes from this process's status; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":")), None)


def measure(name: str, folder: Path, count: int, repeats: int) -> dict[str, float]:
    """Run one contestant in this process; memory is that of the first run."""
    run, prepare = CONTESTANTS[name]
    mask = np.load(folder / "mask.npy", mmap_mode="r")[:count].copy()
    values = prepare(np.load(folder / "codes.npy", mmap_mode="r")[:count].copy())
    run(values[: 4 * SIDE**2], mask[: 4 * SIDE**2])
    try:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before = status("VmRSS")
    except OSError:
        before = None
    start_peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    seconds, memory, area = np.inf, 0, 0.0
    for repeat in range(repeats):
        start = time.perf_counter()
        area = run(values, mask)
        seconds = min(seconds, time.perf_counter() - start)
        if repeat == 0:
            peak = status("VmHWM")
            memory = peak - before if peak is not None and before is not None else _growth(start_peak)
    return {"seconds": seconds, "memory": memory, "auroc": area}


def _growth(start_peak: int) -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit - start_peak


def in_own_process(name: str, folder: Path, count: int, repeats: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--contestant", name, "--folder", str(folder)]
    command += ["--pixels", str(count), "--repeats", str(repeats)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(folder: Path, names: list[str], count: int, repeats: int) -> None:
    """Print one line a contestant, with its speed relative to the first."""
    print(f"{count:,} pixels, best of {repeats}")
    print(f"  {'':36}{'seconds':>10}{'ns/pixel':>10}{'peak MB':>10}{'slower':>9}  AuROC")
    first = 0.0
    for name in names:
        found = in_own_process(name, folder, count, repeats)
        first = first or found["seconds"]
        speed = f"{found['seconds']:10.3f}{found['seconds'] / count * 1e9:10.2f}{found['memory'] / 1e6:10.1f}"
        print(f"  {name:36}{speed}{found['seconds'] / first:8.1f}×  {found['auroc']:.12f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pixels", type=lambda text: int(float(text)), default=50_000_000)
    parser.add_argument(
        "--torchmetrics", type=lambda text: int(float(text)), default=5_000_000, help="its pixels; 0: not"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contestant:
        print(json.dumps(measure(given.contestant, given.folder, given.pixels, given.repeats)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        codes, mask = make_pixels(max(given.pixels, given.torchmetrics))
        np.save(folder / "codes.npy", codes)
        np.save(folder / "mask.npy", mask)
        del codes, mask
        *names, other = CONTESTANTS
        compare(folder, names, given.pixels, given.repeats)
        if given.torchmetrics:
            compare(folder, [names[0], names[2], other], given.torchmetrics, given.repeats)


if __name__ == "__main__":
    main()
