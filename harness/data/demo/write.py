"""Writing embedded images out as files, in MVTec AD's layout: to look at them, or to try one's own tools on them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from PIL import Image

from harness.dataset import Dataset


def write_tree(dataset: Dataset, category: str, folder: Path) -> Path:
    """Write one category below `folder` and return its folder; masks go to ground_truth/<label>/<stem>_mask.png."""
    painter = import_module(f"harness.data.demo.{dataset.painter}")
    home = folder / category
    for image in painter.paint(category, dataset.categories[category].painting):
        path = home / image.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.pixels).save(path)
        if image.mask is not None:
            mask = home / "ground_truth" / image.label / f"{path.stem}_mask.png"
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.mask).save(mask)
    return home
