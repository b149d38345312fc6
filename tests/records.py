"""Records of made-up fits for tests: sound ones by default, whose fingerprints are those that a plan implies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.cell import Cell, Grading, Method
from harness.records.evaluate import image_policies, map_policies
from harness.records.plan import Plan
from harness.records.record import Record, dumps, seal

MAPS = ("iou", "iou_per_image", "pro")
FREE = ("pixel_auroc", "average_precision", "aupro_0.3", "image_auroc")


def record_of(plan: Plan, cell: Cell, value: float = 0.5, **over: Any) -> Record:
    """Return a sound record of a cell in which every measure is `value`."""
    digest = over.pop("data_digest", plan.data_digest(cell) or "d" * 64)
    method, measures = plan.methods[cell.method], plan.protocol.measures
    content: dict[str, Any] = {
        "protocol": cell.protocol, "dataset": cell.source, "category": cell.category, "method": cell.method,
        "seed": cell.seed, "status": "measured", "reason": None, "log_tail": [],
        "fingerprint": plan.fingerprint(cell, digest), "fit_key": plan.key(cell),
        "measuring_key": plan.measuring_key(cell), "data_digest": digest,
        "measures": measures_of(method, measures, value),
        "curve": {"thresholds": [0.0, 1.0], "iou": [0.1, None]},
        "images": [{"id": "test/cut/000.png", "label": "cut", "anomalous": True, "score": 1.5, "iou": 0.25}],
        "counts": {"train": 9, "validation": 1, "test_normal": 2, "test_anomalous": 1, "excluded": 0},
        "data_notes": [], "weights_origin": "random", "precision": "float32",
        "training": {"batch_size": 2, "micro_batches": 1, "images_seen": 20, "steps": 10},
        "commit": "0" * 40, "dirty": False, "libraries": {"python": "3.12"},
        "hardware": {"processor": "Some CPU", "cores": 2, "threads": 1, "memory_bytes": 2**33, "device": "cpu"},
        "fit": {"seconds": 3.5, "peak_memory_bytes": 2**20}, "export": {"seconds": 0.5, "peak_memory_bytes": 2**20},
        "date": "2024-05-01T12:00:00+00:00",
    }  # fmt: skip
    return Record(**(content | over))


def measures_of(method: Method, measures: Grading, value: float) -> list[dict[str, Any]]:
    """Return the entries that a method's records list, each with the same value and a 95 % interval."""
    policies = map_policies(method, measures, {"map_range": [0, 1], "own_threshold": 0.5})
    keys = [*((name, None) for name in FREE), *((name, policy) for name in MAPS for policy in policies)]
    keys += [(name, policy) for name in ("class_accuracy", "accuracy") for policy in image_policies(method)]
    interval = [value - 0.05, value + 0.05]
    return [{"name": n, "policy": p, "threshold": None, "value": value, "interval": interval} for n, p in keys]


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

    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"evidence": "recorded"}))
    assert main(["aggregate", table, "--protocol", protocol]) == 0
    path = Path("results", protocol, f"{table}.json")
    assert main(["render", str(path)]) == 0
    monkeypatch.delenv("CAVGA_CONFIG")
    return path
