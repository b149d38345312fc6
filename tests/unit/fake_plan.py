"""A plan whose evidence is made up in the test itself, with the interface that tables ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from harness.records.status import Evidence
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
Answer = Callable[[str, str, str, int], Evidence]


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


def measured(value: float, **over: Any) -> Evidence:
    return Evidence("measured", None, record(value, **over), f"work/records/{value}.json")


class FakePlan:
    def __init__(
        self,
        answer: Answer,
        *,
        stand_ins: dict[str, str] | None = None,
        seeds: tuple[int, ...] = (0,),
        protocol: dict[str, Any] | None = None,
    ):
        self.answer = answer
        self.stand_ins = stand_ins or {}
        sizes = {name: {"size": 256, "channels": 3} for name in CATEGORIES}
        self.protocol: dict[str, Any] = {
            "id": "lite",
            "title": "lite protocol",
            "seeds": list(seeds),
            "datasets": sizes,
            "limits": {},
        } | (protocol or {})
        self.datasets = {name: {"title": name.replace("_", " ").upper()} for name in CATEGORIES}
        self.methods: Any = _Methods()

    def categories(self, dataset: str) -> dict[str, dict[str, Any]]:
        names = CATEGORIES[self.stand_in(dataset)]
        return {
            name: {"title": name.title().replace("_", " "), "kind": "texture" if name in TEXTURES else "object"}
            for name in names
        }

    def stand_in(self, dataset: str) -> str:
        return self.stand_ins.get(dataset, dataset)

    def evidence(self, dataset: str, category: str, method: str, seed: int) -> Evidence:
        return self.answer(dataset, category, method, seed)


class _Methods(dict[str, dict[str, Any]]):
    """Knows every method: these tests are about tables, and config/methods.yaml is tested elsewhere."""

    special: ClassVar = {"advae": {"threshold": "best_on_test"}, "ae_l2": {"threshold": "normal_validation"}}

    def __missing__(self, name: str) -> dict[str, Any]:
        entry = {"title": name, "latex": name.replace("_", r"\_"), "gives": ["maps", "scores"]}
        return entry | {"threshold": "fixed:0.5", "image_threshold": "fixed:0.5"} | self.special.get(name, {})

    def __contains__(self, name: object) -> bool:
        return True
