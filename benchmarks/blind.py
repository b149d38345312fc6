"""How much of a method's localisation needs the image? Its maps beside one for all images, and beside shuffled ones.

    python benchmarks/blind.py work/data/lite/mvtec_ad/bottle/128px work/fits/<key>/maps.npz …

For each fit: the pixel AuROC and the best IoU of its maps as they are; of their mean over the test images, the same for
every image; and of the maps given to the wrong images, the mean over `SHUFFLES` draws. A method whose own maps are no
better than these has learnt where defects lie in this category, or nothing. Beside it, where the maps have their
maximum on a grid of `CELLS` × `CELLS` cells: in how many images the commonest cell has it, and in how many it touches
the defect, beside a cell drawn at random.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.data.prepared import Prepared
from harness.metrics.image import image_auroc
from harness.training.maps import LEVELS, MapsReader

SHUFFLES, CELLS = 5, 8
HEAD = ("fit", "own AuROC", "mean map", "shuffled", "own best IoU", "mean map", "shuffled", "highest cell")


def read(path: Path, name: str | None, data: Prepared) -> tuple[np.ndarray, np.ndarray]:
    """Return the test maps in [0,1] (N,H,W) and the masks of the same images."""
    reader = MapsReader(path, name)
    index = reader.test_index
    if data.masks is None or not reader.has_maps:
        raise SystemExit(f"{path}: no maps, or no masks of its images; name a fit that gives maps, on data with masks")
    if data.masks.shape[1:] != reader.shape:
        raise SystemExit(f"{path}: maps of {reader.shape} for masks of {data.masks.shape[1:]}; name fits of these data")
    maps = reader.maps(list(range(len(index)))).astype(np.float64) / LEVELS
    return maps, np.asarray(data.masks)[index].astype(bool)


def grade(maps: np.ndarray, masks: np.ndarray) -> tuple[float, float]:
    """Return pixel AuROC and best IoU, pooled over all pixels; the threshold is sought among 1,001 quantiles."""
    edges = np.unique(np.quantile(maps, np.linspace(0, 1, 1001)))
    counts = np.stack([np.histogram(maps[masks == truth], np.append(edges, np.inf))[0] for truth in (False, True)])
    marked = counts[:, ::-1].cumsum(1)[:, ::-1]
    auroc = image_auroc(maps.ravel(), masks.ravel())
    assert auroc is not None
    return auroc, float((marked[1] / (marked[0] + masks.sum())).max())


def places(maps: np.ndarray, masks: np.ndarray) -> str:
    """Return where the maps have their highest cell."""
    shape = (len(maps), CELLS, maps.shape[1] // CELLS, CELLS, maps.shape[2] // CELLS)
    highest = maps.reshape(shape).mean((2, 4)).reshape(len(maps), -1).argmax(1)
    touched = masks.reshape(shape).any((2, 4)).reshape(len(maps), -1)
    flawed = touched.any(1)
    row, column = divmod(int(np.bincount(highest).argmax()), CELLS)
    return (
        f"({row}, {column}) in {np.bincount(highest).max()} of {len(maps)}; on the defect in "
        f"{touched[flawed, highest[flawed]].sum()} of {flawed.sum()}, by chance {touched[flawed].mean(1).sum():.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a prepared category's folder, at the protocol's size")
    parser.add_argument("maps", type=Path, nargs="+", help="maps.npz of fits")
    parser.add_argument("--map", help="which of a fit's named maps")
    options = parser.parse_args()
    data, rng = Prepared.open(options.data), np.random.default_rng(0)
    print(f"| {' | '.join(HEAD)} |\n{'|---' * len(HEAD)}|")
    for path in options.maps:
        maps, masks = read(path, options.map, data)
        own, mean = grade(maps, masks), grade(np.broadcast_to(maps.mean(0), maps.shape), masks)
        wrong = np.mean([grade(maps[rng.permutation(len(maps))], masks) for _ in range(SHUFFLES)], axis=0)
        numbers = [f"{value:.3f}" for pair in zip(own, mean, wrong, strict=True) for value in pair]
        print(f"| {path.parent.name} | {' | '.join(numbers)} | {places(maps, masks)} |", flush=True)


if __name__ == "__main__":
    main()
