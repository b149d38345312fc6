"""What a fit would take on a CPU, from rates that are known: config/rates.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from harness.cell import Settings
from harness.config import read_yaml, validate
from harness.paths import ROOT
from harness.settings import BUDGETS


@dataclass(frozen=True)
class Rate:
    """Images a second of one method, of images with sides of `size` pixels."""

    size: int
    fit: float
    predict: float


@cache
def rates() -> Mapping[str, Rate]:
    """Return the rates by method id."""
    path = ROOT / "config" / "rates.yaml"
    content = read_yaml(path)
    validate(content, "rates", path)
    return {method: Rate(**entry) for method, entry in content.items()}


def trains(settings: Settings) -> bool:
    """Tell whether a method trains: it has a budget."""
    return any(settings.training.get(key) for key in BUDGETS)


def seconds(method: str, settings: Settings, counts: Mapping[str, int] | None) -> float | None:
    """Return about what a fit, predictions included, takes on one CPU thread; None where a rate or a number is unknown.

    `counts` are the images of the category: train, test_normal, test_anomalous.
    """
    rate, training = rates().get(method), settings.training
    if rate is None or counts is None:
        return None
    seen = training.get("images_seen") or training.get("epochs", 0) * (
        training.get("samples_per_epoch") or counts["train"]
    )
    tested = counts["test_normal"] + counts["test_anomalous"]
    return float((seen / rate.fit + tested / rate.predict) * (settings.size / rate.size) ** 2)


def duration(seconds: float) -> str:
    """Return seconds as a person says them: in the largest unit of which there are two."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} seconds"
