"""Two records of one cell, measure by measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.workflow.required import label


@dataclass(frozen=True)
class Change:
    """One measure before and after; None where there is no value."""

    measure: str
    before: float | None
    after: float | None

    @property
    def line(self) -> str:
        """Return the change as one line."""
        both = self.before is not None and self.after is not None
        difference = f" ({(self.after or 0.0) - (self.before or 0.0):+.6f})" if both else ""
        return f"{self.measure}: {_number(self.before)} → {_number(self.after)}{difference}"


def values(record: Mapping[str, Any]) -> dict[str, float | None]:
    """Return a record's values by measure and policy."""
    return {label(entry["name"], entry["policy"]): entry["value"] for entry in record["measures"]}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return the measures whose values differ between two records, in the order in which they are listed."""
    old, new = values(before), values(after)
    names = dict.fromkeys([*old, *new])
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6f}"
