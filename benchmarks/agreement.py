"""AUPRO and AUPIMO beside anomalib's, on the same maps.

    python benchmarks/agreement.py --anomalib /path/to/an/environment/bin/python [--images 32]

The maps are smooth noise, higher in square defects of differing strength; three images of four are anomalous. anomalib
takes 300,000 thresholds between the lowest and the highest value of the normal images, ours are the codes of 16 bits.
Eight normal images of 250² have 500,000 pixels, so that both bounds of AUPIMO, 5 and 50 of them, are reached: between
two reachable rates anomalib leaves the gap out of the integral, but not out of its length (0.7 % with six of 256²).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
SIDE = 250
MEASURES = ("aupro_0.3", "aupro_0.05", "aupimo")
FAR = 5e-4
"""The thresholds of the two are not the same ones, but no difference is as large."""


def make(images: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Return maps, uint16, and masks, uint8, (N,H,W); the defects stand out by `strength` deviations of the noise."""
    from scipy.ndimage import gaussian_filter

    generator = np.random.default_rng(0)
    noise = np.stack([gaussian_filter(image, 3) for image in generator.standard_normal((images, SIDE, SIDE))])
    masks = np.zeros(noise.shape, np.uint8)
    for number in range(images):
        for _ in range(number % 4):
            row, column, side = *generator.integers(0, SIDE - 60, 2), generator.integers(10, 60)
            masks[number, row : row + side, column : column + side] = 1
    own = generator.uniform(0.5, 1.5, images)[:, None, None]
    values = noise / noise.std() + strength * own * masks
    return np.rint((values - values.min()) / np.ptp(values) * 65535).astype(np.uint16), masks


def ours(maps: np.ndarray, masks: np.ndarray) -> dict[str, float]:
    from harness.metrics.evaluate import evaluate
    from harness.metrics.results import MeasureSettings

    settings = MeasureSettings(("best_on_test",), ("best_on_test",))
    anomalous = masks.any(axis=(1, 2))
    scores = maps.max(axis=(1, 2)).astype(float)
    found = evaluate(lambda: iter(maps), 0.0, 1.0, masks, anomalous, scores, None, None, settings)
    return {measure.name: measure.value for measure in found.measures if measure.name in MEASURES}


def theirs(folder: Path) -> dict[str, float]:
    import torch
    from anomalib.metrics.aupro import _AUPRO
    from anomalib.metrics.pimo.pimo import _AUPIMO

    content = np.load(folder / "maps.npz")
    maps = torch.from_numpy(content["maps"].astype(np.float64) / 65535)
    masks = torch.from_numpy(content["masks"]).int()
    found = {}
    for limit in (0.3, 0.05):
        metric = _AUPRO(fpr_limit=limit)
        metric.update(maps, masks)
        found[f"aupro_{limit:g}"] = float(metric.compute())
    metric = _AUPIMO(return_average=True)
    metric.update(maps, masks)
    found["aupimo"] = float(metric.compute())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--anomalib", help="an interpreter that has anomalib")
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.folder:
        print(json.dumps(theirs(given.folder)))
        return
    if not given.anomalib:
        parser.error("name an interpreter that has anomalib with --anomalib")
    far = []
    print(
        f"{given.images} maps of {SIDE}²\n  {'defect':10}{'measure':14}{'ours':>12}{'anomalib':>12}{'difference':>14}"
    )
    for strength in (1.0, 3.0, 5.0):
        with tempfile.TemporaryDirectory() as folder:
            maps, masks = make(given.images, strength)
            np.savez(Path(folder, "maps.npz"), maps=maps, masks=masks)
            command = [given.anomalib, __file__, "--folder", folder]
            text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        own, other = ours(maps, masks), json.loads(text.splitlines()[-1])
        for name in MEASURES:
            difference = own[name] - other[name]
            far += [name] if abs(difference) > FAR else []
            print(f"  {strength:<10g}{name:14}{own[name]:12.6f}{other[name]:12.6f}{difference:14.1e}")
    if far:
        sys.exit(f"further apart than {FAR:g}: {', '.join(far)}")


if __name__ == "__main__":
    main()
