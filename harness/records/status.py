"""What is known of one cell: a number with its record, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

STATES = ("measured", "recorded", "stale", "not_measured", "unavailable", "failed", "not_applicable")
"""In this order: believed numbers, a number that today's sources no longer imply, and four kinds of none.

Not measured: there is no record (yet, or none accepted); unavailable: there cannot be one here, for lack of data.
"""


@dataclass(frozen=True)
class Evidence:
    """The state of one cell (dataset, category, method, seed).

    Attributes:
        state: One of `STATES`.
        reason: One line that says why; None for a number that is believed.
        record: The record's content; None where there is none.
        path: The record's path below the current folder; None where there is none.
    """

    state: str
    reason: str | None = None
    record: dict[str, Any] | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise ValueError(f"unknown state '{self.state}'; known: {', '.join(STATES)}")
        if self.believed and self.record is None:
            raise ValueError(f"state '{self.state}' needs a record")

    @property
    def believed(self) -> bool:
        """Whether the record's numbers count: its fingerprint is the one that today's sources imply."""
        return self.state in ("measured", "recorded")
