"""The quantities that tables print: where a record holds them, which way is better, how categories are summed up."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import ConfigError


@dataclass(frozen=True)
class Measure:
    """One quantity.

    Attributes:
        title: As captions name it.
        latex: The same for LaTeX.
        better: "higher" or "lower".
        threshold: The key of config/methods.yaml whose policy picks the number; None when no threshold is involved.
        reduce: "mean" or "sum" over categories.
        maps: Whether it grades anomaly maps.
        cost: The record's block whose seconds are meant; None for what the record lists under `measures`.
    """

    title: str
    latex: str
    better: str = "higher"
    threshold: str | None = None
    reduce: str = "mean"
    maps: bool = False
    cost: str | None = None


MEASURES = {
    "iou": Measure("IoU", "IoU", threshold="threshold", maps=True),
    "iou_per_image": Measure("IoU per image", "IoU per image", threshold="threshold", maps=True),
    "pro": Measure("per-region overlap", "per-region overlap", threshold="threshold", maps=True),
    "pixel_auroc": Measure("AuROC", "AuROC", maps=True),
    "average_precision": Measure("average precision", "average precision", maps=True),
    "aupro_0.3": Measure("AUPRO (FPR ≤ 0.3)", r"AUPRO (FPR $\leq$ 0.3)", maps=True),
    "image_auroc": Measure("AuROC", "AuROC"),
    "class_accuracy": Measure("mean class accuracy", "mean class accuracy", threshold="image_threshold"),
    "accuracy": Measure("classification accuracy", "classification accuracy", threshold="image_threshold"),
    "fit_hours": Measure("training hours", "training hours", better="lower", reduce="sum", cost="fit"),
    "export_hours": Measure("testing hours", "testing hours", better="lower", reduce="sum", cost="export"),
}
"""`pixel_auroc` and `image_auroc` share a title because the paper calls both AuROC."""


def measure(name: str, source: str) -> Measure:
    """Return a measure by its name. Raises ConfigError that names `source` for an unknown one."""
    if name not in MEASURES:
        raise ConfigError(f"{source}: unknown measure '{name}'; known: {', '.join(MEASURES)}")
    return MEASURES[name]
