"""What stands behind a cell: a record, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STATES = ("measured", "recorded", "stale", "unavailable", "failed", "not_applicable")


@dataclass(frozen=True)
class Evidence:
    """The state of one cell for one seed. `record` is set for measured, recorded, stale and failed cells."""

    state: str
    reason: str | None = None
    record: dict[str, Any] | None = None
    path: str | None = None
