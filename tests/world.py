"""A small world of real files without training: prepared demo data, maps made from the masks, and measured records."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from harness.cell import Cell
from harness.data.prepare import prepare
from harness.data.prepared import Prepared
from harness.data.preparing import preparing
from harness.data.sources import raw_folder
from harness.records.evaluate import measure
from harness.records.plan import Plan
from harness.training.maps_writer import MapsWriter
from harness.workflow.job_status import write_status

MACHINE = {
    "device": "cpu", "commit": "0" * 40, "dirty": False, "threads": 1, "libraries": {"python": "3"},
    "hardware": {"processor": "Some CPU", "cores": 2, "memory_bytes": 8 * 2**30},
}  # fmt: skip
FITTED = MACHINE | {
    "status": "measured", "reason": None, "log_tail": [], "seconds": 12.0, "peak_memory_bytes": 1 << 28,
    "weights_origin": "random", "precision": "float32", "training": {"images_seen": 640, "batch_size": 16},
}  # fmt: skip


def build(plan: Plan, places: Iterable[tuple[str, str, str]], failed: frozenset[tuple[str, str]] = frozenset()) -> None:
    """Write data, maps, log and record of each (dataset, category, method); `failed` names (category, method)."""
    for dataset, category, method in places:
        cell = plan.cell(dataset, category, method, plan.protocol.seeds[0])
        if plan.applies(cell):
            truth = prepared(plan, cell)
            _export(plan, cell, truth, (category, method) in failed)
            _record(plan, cell, truth)


def prepared(plan: Plan, cell: Cell) -> Prepared:
    """Prepare a cell's data, once."""
    folder = plan.truth_folder(cell)
    if not (folder / "manifest.json").exists():
        entry, size = plan.dataset(cell), plan.protocol.datasets[cell.dataset].size
        prepare(
            entry, cell.category, raw_folder(entry, plan.work), folder, preparing(plan.protocol, cell.dataset, size)
        )
    return Prepared.open(folder)


def _export(plan: Plan, cell: Cell, truth: Prepared, failed: bool) -> None:
    folder, target = plan.fit_folder(cell), plan.maps(cell)
    folder.mkdir(parents=True, exist_ok=True)
    bad = {"status": "failed", "reason": "loss is not finite at step 3", "log_tail": ["step 3"]} if failed else {}
    losses = [{"loop": "train", "step": s, "of": 40, "images_per_s": 9.0, "loss": 1 / s} for s in (1, 10, 20, 40)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in losses))
    method, random = plan.methods[cell.method], np.random.default_rng(zlib.crc32(str(cell).encode()))
    fixed = str(method.threshold).startswith("fixed")
    if not failed:
        with MapsWriter(target, truth.test_index(cell.seed, method.weak)) as writer:
            index, weak = writer.test_index, method.weak
            maps = _maps(truth, index, random) if "maps" in method.gives else None
            labels = truth.test_labels[index]
            scores = labels + random.normal(0, 0.6, len(index)) if maps is None else maps.max(axis=(1, 2))
            writer.add(maps, {method.score: scores} if method.score else scores)
            if method.validation:
                held = truth.training_arrays(cell.seed, True, weak)["validation"]
                calm = random.uniform(0, 0.3, held.shape[:3]) if maps is not None else None
                writer.add(calm, np.zeros(len(held)), "validation")
    said = {"own_threshold": 0.5, "map_range": [0.0, 1.0] if fixed else None}
    said |= {"export": {"images_per_s": 50.0, "seconds": 1.0}}
    write_status(plan.status_file(cell), FITTED | said | bad)


def _maps(truth: Prepared, index: np.ndarray, random: np.random.Generator) -> np.ndarray:
    shape = (len(index), *truth.test.shape[1:3])
    masks = np.zeros(shape) if truth.masks is None else truth.masks[index].astype(float)
    seen = gaussian_filter(masks, (0, 2, 2)) * random.uniform(0.3, 1.0, (len(index), 1, 1))
    noise = gaussian_filter(random.normal(0, 1, shape), (0, 4, 4))
    return (0.8 * seen + 0.25 * np.abs(noise) / np.abs(noise).max()).clip(0, 1)


def _record(plan: Plan, cell: Cell, truth: Prepared) -> None:
    maps: Path = plan.maps(cell)
    fitted = json.loads(plan.status_file(cell).read_text())
    grading = replace(plan.protocol.measures, bootstrap=20)
    record = measure(cell.key, plan.method(cell), grading, plan.keys(cell), fitted, maps, truth, pictures=True)
    record.write(plan.work / "records" / cell.record)
