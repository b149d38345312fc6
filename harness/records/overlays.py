"""The small pictures that a record carries: maps over their images, the same images for every method of a category."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from harness.data.prepared import Prepared
from harness.records import overlay
from harness.records.record import ImageRow, Overlay
from harness.training.maps import MapsReader

COUNT, SIDE, QUALITY = 4, 96, 60


def overlays(
    reader: MapsReader, truth: Prepared, rows: tuple[ImageRow, ...], seed: int, threshold: float | None
) -> tuple[Overlay, ...]:
    """Return pictures of at most four anomalous images, evenly spread over the order of their defects' areas.

    That order is the data's own, and images that weakly supervised methods train on are left out for all methods: so
    the records of a category show the same images. Red as in figures, white at `threshold`, green the ground truth.
    """
    known = {row.id: row for row in rows}
    scale = overlay.strength_range(reader)
    code = None if threshold is None else reader.code(threshold)
    places = {int(position): place for place, position in enumerate(reader.test_index)}
    found = []
    for position in _chosen(truth, seed):
        name = str(truth.test_images["id"].iloc[position])
        if name in known and position in places:
            codes = reader.maps([places[position]])[0]
            picture = overlay.overlay(truth.test[position], codes, scale, code, SIDE)
            found.append(Overlay(name, known[name].iou, _encoded(_with_truth(picture, truth, position))))
    return tuple(found)


def _chosen(truth: Prepared, seed: int) -> list[int]:
    """Return the positions among the test images, smallest defect first."""
    weak = set(truth.manifest.weak_left_out.get(str(seed), []))
    anomalous = [int(place) for place in np.flatnonzero(truth.test_labels) if int(place) not in weak]
    masks = truth.masks
    if masks is None or not anomalous:
        return []
    order = sorted(anomalous, key=lambda place: (int(np.count_nonzero(masks[place])), place))
    if len(order) <= COUNT:
        return order
    return [order[((2 * k + 1) * len(order) - 1) // (2 * COUNT)] for k in range(COUNT)]


def _with_truth(picture: np.ndarray, truth: Prepared, position: int) -> np.ndarray:
    assert truth.masks is not None
    large = overlay.mask(truth.masks[position], SIDE)[..., 0] > 0
    marked = picture.copy()
    marked[overlay.outline(large)] = overlay.GREEN
    return marked


def _encoded(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=QUALITY, method=6)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"


def decoded(picture: str, side: int) -> np.ndarray:
    """Return a record's picture as uint8 (side,side,3)."""
    content = base64.b64decode(picture.partition(",")[2])
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))
