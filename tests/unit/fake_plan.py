"""A plan whose evidence is made up in the test itself, with the interface that tables ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from harness.cell import Method, PreparedAs
from harness.config import load_config, load_protocol
from harness.dataset import Dataset
from harness.metrics.measures import MEASURES
from harness.metrics.results import Measured
from harness.records.fingerprint import Keys
from harness.records.plan import Plan
from harness.records.record import Cost, Counts, Hardware, Record
from harness.records.status import Status
from harness.tables.cells import Evidence
from harness.tables.published import read_published

MVTEC = list(read_published("table3_iou.csv").positions)[:-1]
TEXTURES = {"carpet", "grid", "leather", "tile", "wood"}
CLASSES = [str(i) for i in range(10)]
CATEGORIES: dict[str, list[str]] = {
    "mvtec_ad": MVTEC,
    "mstc": [f"{i:02d}" for i in range(1, 13)],
    "lag": ["lag"],
    "mnist": CLASSES,
    "mnist_leave_one_out": CLASSES,
    "cifar10": CLASSES,
    "cifar10_leave_one_out": CLASSES,
    "fashion_mnist": CLASSES,
    "fashion_mnist_leave_one_out": CLASSES,
    "demo_textures": ["brick", "grass", "gravel"],
}
POLICIES = ("fixed:0.2", "fixed:0.3", "fixed:0.4", "fixed:0.5", "fixed:0.6", "normal_validation", "best_on_test", "own")
Answer = Callable[[str, str, str, int], Status]
NOWHERE = Path("nothing was prepared here")
"""The work folder: what the user's own holds, yardsticks above all, is not this evidence."""


def record(value: float, *, seed: int = 0, method: str = "m", **over: Any) -> Record:
    """Return a record whose every measure is `value`, plus what `measures` overrides: {(name, policy): value}."""
    special = over.pop("measures", {})
    keys: list[tuple[str, str | None]] = [
        (name, None) for name, kind in MEASURES.items() if kind.threshold is None and kind.cost is None
    ]
    keys += [(name, policy) for name in ("iou", "iou_per_image", "pro") for policy in POLICIES]
    keys += [(name, policy) for name in ("class_accuracy", "accuracy") for policy in POLICIES]
    measures = tuple(Measured(n, p, None if p is None else 0.5, special.get((n, p), value)) for n, p in keys)
    content: dict[str, Any] = {
        "protocol": "lite", "dataset": "d", "category": "c", "method": method, "seed": seed, "status": "measured",
        "reason": None, "log_tail": (), "keys": Keys(*("ab" * 32 for _ in range(4))), "data_digest": "ef" * 32,
        "measures": measures, "curve": None, "images": (), "counts": Counts(9, 1, 2, 2, 0), "maps_digest": "cd" * 32,
        "data_notes": (), "weights_origin": "random", "precision": "float32", "commit": "0" * 40, "dirty": False,
        "training": {"images_seen": 6000}, "libraries": {},
        "hardware": Hardware("Some CPU", cores=2, threads=1, memory_bytes=8 * 2**30, device="cpu"),
        "fit": Cost(3600.0, 0), "export": Cost(360.0, 0), "date": "2024-05-01T12:00:00+00:00",
    }  # fmt: skip
    return Record(**(content | over))


def measured(value: float, **over: Any) -> Status:
    return Status("measured", None, record(value, **over), f"work/records/{value}.json")


class FakePlan(Plan):
    """The lite protocol over many categories; `answer(dataset, category, method, seed)` says what is known."""

    def __init__(
        self,
        answer: Answer,
        *,
        stand_ins: dict[str, str] | None = None,
        seeds: tuple[int, ...] = (0,),
        protocol: dict[str, Any] | None = None,
        own_seeds: dict[str, tuple[int, ...]] | None = None,
    ):
        self.answer, self.own_seeds = answer, own_seeds or {}
        config = load_config({"data_root": None})
        datasets = {
            name: Dataset.read(
                {
                    "title": name.replace("_", " ").upper(),
                    "access": "open",
                    "layout": "file",
                    "categories": _categories(name),
                },
                id=name,
            )
            for name in CATEGORIES
        }
        sizes = {name: PreparedAs(size=256, channels=3) for name in CATEGORIES}
        made = {"seeds": seeds, "stand_ins": stand_ins or {}, "datasets": sizes, "limits": {}} | (protocol or {})
        methods = _Methods()
        methods |= {name: methods[name] for name in ("avid", "cavga_r_u")}
        protocol_made = replace(load_protocol("lite", config), **made)
        super().__init__(protocol_made, methods, datasets, config, NOWHERE)

    def seeds(self, dataset: str, method: str) -> tuple[int, ...]:
        """Return the seeds given to the plan: what lite says of its methods is no matter here."""
        return self.own_seeds.get(method, self.protocol.seeds)


def _categories(name: str) -> dict[str, dict[str, Any]]:
    return {
        category: {"title": category.title().replace("_", " "), "kind": "texture" if category in TEXTURES else "object"}
        for category in CATEGORIES[name]
    }


def records_of(plan: FakePlan) -> Evidence:
    return Evidence(plan, lambda _, cell: plan.answer(cell.dataset, cell.category, cell.method, cell.seed))


class _Methods(dict[str, Method]):
    """Knows every method: these tests are about tables, and config/methods.yaml is tested elsewhere."""

    special: ClassVar = {"advae": {"threshold": "best_on_test"}, "ae_l2": {"threshold": "normal_validation"}}

    def __missing__(self, name: str) -> Method:
        entry = {"title": name, "latex": name.replace("_", r"\_"), "gives": ["maps", "scores"], "detector": "m:M"}
        entry |= {"threshold": "fixed:0.5", "image_threshold": "fixed:0.5", "source": "made up"}
        return Method.read(entry | self.special.get(name, {}), id=name)

    def __contains__(self, name: object) -> bool:
        return True
