"""Make tests/data/sets, three small sets with the shapes of real ones: python tests/data/make_sets.py HAZELNUT_TOY.

hazelnut: photographs of the hazelnut toy set (CC BY 4.0, Intel), reduced to a fifth. strips and scans are made here.
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

SETS = Path(__file__).parent / "sets"
HAZELNUTS = {
    "train/good": ["00", "01", "02", "03", "06", "07"], "test/good": ["04", "05"], "test/colour": ["00", "05", "10"],
    "ground_truth/colour": ["00", "05", "10"],
}  # fmt: skip


LICENCE = "From the hazelnut toy set of the anomalib project (Intel), CC BY 4.0; a few images, reduced to a fifth.\n"


def hazelnut(source: Path) -> None:
    for folder, stems in HAZELNUTS.items():
        for stem in stems:
            path = next((source / folder).glob(f"{stem}.*"))
            with Image.open(path) as image:
                mask = folder.startswith("ground")
                size = image.width // 5, image.height // 5
                small = image.resize(size, Image.Resampling.NEAREST if mask else Image.Resampling.LANCZOS)
                target = SETS / "hazelnut" / folder / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                small.save(target, **({"optimize": True} if mask else {"quality": 80}))
    (SETS / "hazelnut" / "LICENCE.md").write_text(LICENCE)


def surface(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return grey levels of brushed metal."""
    lines = rng.normal(0, 8, (height, 1)) + np.linspace(90, 140, width)[None]
    return np.clip(lines + rng.normal(0, 3, (height, width)), 0, 255)


def strips() -> None:
    """Tall BMP images of no two widths, folders ok and ko, a mask for every test image, empty ones too."""
    rng = np.random.default_rng(1)
    for split, kind, number in (("train", "OK", 6), ("test", "ok", 3), ("test", "ko", 5)):
        for index in range(number):
            height, width = 170 + 7 * index, 46 + index % 3
            pixels, mask = surface(rng, height, width), np.zeros((height, width), np.uint8)
            if kind == "ko" and index != 2:  # one anomalous image whose mask is empty, one whose mask is one pixel
                top = 20 + 25 * index
                mask[top : top + (1 if index == 3 else 18), 20 : 21 if index == 3 else 27] = 255
                pixels[mask > 0] = 230
            folder = SETS / "strips" / split / kind / ("batch1" if index < 2 else "")
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.BMP")
            if split == "test":
                truth = SETS / "strips" / "ground_truth" / kind / ("batch1" if index < 2 else "")
                truth.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(truth / f"{index}_mask.png")


def scans() -> None:
    """16-bit grey PNGs of 12 bits in a table of two categories; masks hold ids; `legs` has no normal test image."""
    rng, lines = np.random.default_rng(2), [["object", "split", "label", "image", "mask"]]
    for part in ("arms", "legs"):
        for index in range(11):
            split = "train" if index < 5 else "test"
            ill = index >= (5 if part == "legs" else 7)
            pixels, ids = surface(rng, 60, 70) * 16, np.zeros((60, 70), np.uint8)
            if ill:
                ids[10:22, 5 + 4 * index : 15 + 4 * index] = 1 + index % 3
                ids[40:46, 10:16] = 4
                pixels[ids > 0] *= 0.4
            name, mask = f"{part}/{index:02}.png", f"{part}/truth/{index:02}.png" if ill else ""
            (SETS / "scans" / part / "truth").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(SETS / "scans" / name), pixels.astype(np.uint16) & 0xFFC0)
            if ill:
                Image.fromarray(ids).save(SETS / "scans" / mask)
            lines.append([part, split, "anomaly" if ill else "normal", name, mask])
    with (SETS / "scans" / "split.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)


if __name__ == "__main__":
    shutil.rmtree(SETS, ignore_errors=True)
    hazelnut(Path(sys.argv[1]))
    strips()
    scans()
