"""The yardsticks of a prepared category: measured once from its arrays, kept in a file beside the fresh records."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.atomic import write_text
from harness.data.prepared import Prepared
from harness.errors import EvidenceError
from harness.metrics.results import Measured
from harness.metrics.yardsticks import GradedYardstick, grade, yardsticks

SCHEMA = 1


@dataclass(frozen=True)
class CategoryYardsticks:
    """What the yardsticks reach on all test images of one prepared category.

    The weakly supervised methods are measured without the few test images that they train on; the yardsticks are not.
    """

    data_digest: str
    yardsticks: tuple[GradedYardstick, ...]

    def value(self, yardstick: str, measure: str) -> float | None:
        """Return one number by the ids of yardstick and measure; None where there is none."""
        return next((found.value(measure) for found in self.yardsticks if found.id == yardstick), None)

    def values(self) -> dict[str, dict[str, float]]:
        """Return the defined numbers by yardstick and measure."""
        return {y.id: {m.name: m.value for m in y.measures if m.value is not None} for y in self.yardsticks}

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        content = {"schema": SCHEMA, "data_digest": self.data_digest, "yardsticks": [_row(y) for y in self.yardsticks]}
        write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> CategoryYardsticks:
        """Return what `write` wrote. Raises EvidenceError when it is damaged or of another version."""
        try:
            content = json.loads(path.read_text())
            if content["schema"] != SCHEMA:
                raise ValueError
            return cls(content["data_digest"], tuple(_graded(row) for row in content["yardsticks"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise EvidenceError(f"{path}: no yardsticks of this version; delete the file and build again") from None


def yardsticks_path(work: Path, protocol: str, source: str, category: str) -> Path:
    """Return where the yardsticks of a category are kept; `source` is the data set really used."""
    return work / "yardsticks" / protocol / source / f"{category}.json"


def kept_yardsticks(path: Path, truth: Prepared) -> CategoryYardsticks:
    """Return the yardsticks kept at `path`; those of other data, or none, are measured and kept there."""
    found = CategoryYardsticks.read(path) if path.is_file() else None
    if found is None or found.data_digest != truth.manifest.digest:
        found = measure_yardsticks(truth)
        found.write(path)
    return found


def measure_yardsticks(truth: Prepared) -> CategoryYardsticks:
    """Measure the yardsticks of a prepared category; seconds at 128², no torch."""
    made = yardsticks(truth.train, truth.test, truth.masks)
    graded = tuple(grade(yardstick, truth.masks, truth.test_labels) for yardstick in made)
    return CategoryYardsticks(truth.manifest.digest, graded)


def _row(yardstick: GradedYardstick) -> dict[str, Any]:
    measures = [measure.as_dict() for measure in yardstick.measures]
    return {"id": yardstick.id, "title": yardstick.title, "score": yardstick.score, "measures": measures}


def _graded(row: dict[str, Any]) -> GradedYardstick:
    measures = tuple(Measured.read(measure) for measure in row["measures"])
    return GradedYardstick(row["id"], row["title"], row["score"], measures)
