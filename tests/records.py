"""Records of made-up fits for tests: sound ones by default, whose fingerprints are those that a plan implies."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.cell import Cell, Grading, Method
from harness.metrics.results import Measured
from harness.records.evaluate import image_policies, map_policies
from harness.records.fingerprint import Keys
from harness.records.plan import Plan
from harness.records.record import Cost, Counts, Hardware, ImageRow, Record, dumps, seal

MAPS = ("iou", "iou_per_image", "pro")
FREE = ("pixel_auroc", "average_precision", "aupro_0.3", "aupro_0.05", "image_auroc")


def record_of(plan: Plan, cell: Cell, value: float = 0.5, **over: Any) -> Record:
    """Return a sound record of a cell in which every measure is `value`."""
    content: dict[str, Any] = {
        **cell.key._asdict(), "status": "measured", "reason": None, "log_tail": (), "keys": plan.keys(cell),
        "data_digest": plan.data_digest(cell) or "d" * 64,
        "measures": measures_of(plan.method(cell), plan.protocol.measures, value),
        "curve": {"thresholds": [0.0, 1.0], "iou": [0.1, None]},
        "images": (ImageRow("test/cut/000.png", "cut", True, 1.5, 0.25),),
        "counts": Counts(train=9, validation=1, test_normal=2, test_anomalous=1, excluded=0), "maps_digest": "e" * 64,
        "data_notes": (), "weights_origin": "random", "precision": "float32",
        "training": {"batch_size": 2, "micro_batches": 1, "images_seen": 20, "steps": 10},
        "commit": "0" * 40, "dirty": False, "libraries": {"python": "3.12"},
        "hardware": Hardware("Some CPU", cores=2, threads=1, memory_bytes=2**33, device="cpu"),
        "fit": Cost(3.5, 2**20), "export": Cost(0.5, 2**20), "date": "2024-05-01T12:00:00+00:00",
    }  # fmt: skip
    return Record(**(content | over))


def other_code(plan: Plan, cell: Cell) -> Keys:
    """Return the keys that the cell had before somebody edited its method."""
    return replace(plan.keys(cell), fit_code="0" * 64)


def measures_of(method: Method, grading: Grading, value: float) -> tuple[Measured, ...]:
    """Return the numbers that a method's records list, each with the same value and a 95 % interval."""
    policies = map_policies(method, grading, {"map_range": [0, 1], "own_threshold": 0.5})
    keys: list[tuple[str, str | None]] = [(name, None) for name in FREE]
    keys += [(name, policy) for name in MAPS for policy in policies]
    keys += [(name, policy) for name in ("class_accuracy", "accuracy") for policy in image_policies(method)]
    return tuple(Measured(name, policy, None, value, interval=(value - 0.05, value + 0.05)) for name, policy in keys)


def write(record: Record, folder: Path) -> Path:
    """Write a record at its place below `folder`."""
    path = folder / record.protocol / record.dataset / record.category / record.method / f"seed{record.seed}.json"
    record.write(path)
    return path


def edit(path: Path, *, sealed: bool = False, **over: Any) -> None:
    """Alter a record as a person would (the seal is broken) or as a forger would (`sealed`)."""
    content = json.loads(path.read_text()) | over
    if sealed:
        content["seal"] = seal(content)
    path.write_text(dumps(content))


def build_table(monkeypatch: Any, *, protocol: str = "lite", table: str = "table3_iou") -> Path:
    """Aggregate and render a table from the accepted records in the current folder; return its JSON."""
    from harness.cli.main import main

    given = json.loads(os.environ.get("CAVGA_CONFIG", "{}"))
    with monkeypatch.context() as patch:
        patch.setenv("CAVGA_CONFIG", json.dumps({**given, "evidence": "recorded"}))
        assert main(["aggregate", table, "--protocol", protocol]) == 0
        path = Path("results", protocol, f"{table}.json")
        assert main(["render", str(path)]) == 0
    return path
