"""A plan whose evidence is made up in the test itself, with the interface that tables ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

from harness.cell import Method, PreparedAs
from harness.config import load_config, load_protocol
from harness.dataset import Dataset
from harness.records.plan import Plan
from harness.records.status import Status
from harness.tables.cells import Evidence
from harness.tables.published import read_published

MVTEC = list(read_published("table3_iou.csv").cells)[:-1]
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
MEASURES = ("iou", "iou_per_image", "pro")
POLICIES = ("fixed:0.2", "fixed:0.3", "fixed:0.4", "fixed:0.5", "fixed:0.6", "normal_validation", "best_on_test", "own")
Answer = Callable[[str, str, str, int], Status]


def record(value: float, *, seed: int = 0, method: str = "m", **over: Any) -> dict[str, Any]:
    """Return a record whose every measure is `value`, plus what `measures` overrides: {(name, policy): value}."""
    special = over.pop("measures", {})
    free = ("pixel_auroc", "average_precision", "aupro_0.3", "image_auroc")
    keys = [*((name, None) for name in free), *((name, policy) for name in MEASURES for policy in POLICIES)]
    keys += [(name, policy) for name in ("class_accuracy", "accuracy") for policy in POLICIES]
    measures = [
        {
            "name": name,
            "policy": policy,
            "threshold": None if policy is None else 0.5,
            "value": special.get((name, policy), value),
        }
        for name, policy in keys
    ]
    content: dict[str, Any] = {
        "method": method,
        "seed": seed,
        "status": "measured",
        "measures": measures,
        "fingerprint": "ab" * 32,
        "fit_key": "cd" * 12,
        "data_digest": "ef" * 32,
        "data_notes": [],
        "weights_origin": "random",
        "precision": "float32",
        "commit": "0" * 40,
        "dirty": False,
        "training": {"images_seen": 6000},
        "hardware": {"processor": "Some CPU", "cores": 2, "threads": 1, "memory_bytes": 8 * 2**30, "device": "cpu"},
        "fit": {"seconds": 3600.0},
        "export": {"seconds": 360.0},
    }
    return content | over


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
    ):
        self.answer = answer
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
        super().__init__(replace(load_protocol("lite", config), **made), _Methods(), datasets, config)


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
