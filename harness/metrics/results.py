"""What to measure, and what came out: settings, one measured number, and the evaluation of a category."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError

Interval = tuple[float, float]


@dataclass(frozen=True)
class MeasureSettings:
    """How to measure.

    Attributes:
        map_policies: thresholds of the maps ("fixed:t", "normal_validation", "best_on_test", "own"). The first one also
            gives the images' IoU and the map threshold of the image policy "region".
        image_policies: thresholds of the scores ("fixed:t", "normalised:t", "best_on_test", "max_normal_validation",
            "region").
        empty_when_normal: grade an empty map where the first image policy calls the image normal.
        minimum_area: smallest region that counts as a defect, as a share of the pixels of a map.
        own_threshold: a threshold that the method itself defines for its maps.
        curve_points: thresholds of the IoU curve, evenly from `low` to `high`.
        bootstrap: replicates of the 95 % intervals over test images; 0 for none.
        seed: of the bootstrap.
    """

    map_policies: tuple[str, ...] = ("fixed:0.5", "normal_validation", "best_on_test")
    image_policies: tuple[str, ...] = ("fixed:0.5", "best_on_test")
    empty_when_normal: bool = False
    minimum_area: float = 0.001
    own_threshold: float | None = None
    curve_points: int = 101
    bootstrap: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.minimum_area <= 1:
            raise ConfigError(f"measures.minimum_area: {self.minimum_area} is not a share; give more than 0, at most 1")


@dataclass(frozen=True)
class Measured:
    """One number: `value` is None where it is undefined, and the note says why."""

    name: str
    policy: str | None
    threshold: float | None
    value: float | None
    note: str | None = None
    interval: Interval | None = None

    @property
    def label(self) -> str:
        """Return the measure's id with its policy."""
        return self.name if self.policy is None else f"{self.name} ({self.policy})"

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Measured:
        """Build from what `as_dict` gave."""
        interval = content.get("interval")
        return cls(**{**content, "interval": None if interval is None else (interval[0], interval[1])})

    def as_dict(self) -> dict[str, Any]:
        """Return the number as a record holds it."""
        content: dict[str, Any] = {key: getattr(self, key) for key in ("name", "policy", "threshold", "value")}
        if self.note is not None:
            content["note"] = self.note
        if self.interval is not None:
            content["interval"] = list(self.interval)
        return content


@dataclass(frozen=True)
class Evaluation:
    """All measures, the IoU-over-threshold curve ({thresholds, iou}; None without masks or maps), a row an image.

    An image row is {score, iou}: iou at the first map policy, None for normal images and where undefined.
    """

    measures: tuple[Measured, ...]
    curve: dict[str, list[float]] | None
    images: list[dict[str, float | None]]
