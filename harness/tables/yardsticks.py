"""Yardsticks in tables: what they are called, and where their numbers are read. Computed elsewhere, never ranked."""

from __future__ import annotations

from collections.abc import Mapping

from harness.records.plan import Plan
from harness.records.yardsticks import CategoryYardsticks, yardsticks_path
from harness.tables.table import Text

TITLES: Mapping[str, Text] = {
    "everything": Text("everything marked"),
    "random": Text("random map"),
    "centre": Text("distance to the centre"),
    "mean": Text("|x − mean|", r"$|x-\bar{x}|$"),
    "mean_deviation": Text("|x − mean| / deviation", r"$|x-\bar{x}|/\sigma$"),
    "cells_8": Text("best map, 8×8 cells"),
    "cells_16": Text("best map, 16×16 cells"),
    "cells_32": Text("best map, 32×32 cells"),
}
FLOOR = "everything"
"""A number that is not above this one has found nothing."""


Values = Mapping[str, Mapping[str, float]]
"""What each yardstick reaches, measure by measure."""


def measured_here(plan: Plan, dataset: str, category: str) -> Values | None:
    """Return the yardsticks that were measured on this machine on the data that are prepared here."""
    path = yardsticks_path(plan.work, plan.protocol.id, plan.stand_in(dataset), category)
    if plan.config.evidence == "recorded" or not path.is_file():
        return None
    found = CategoryYardsticks.read(path)
    digest = plan.data_digest(plan.cell(dataset, category, next(iter(plan.methods)), plan.protocol.seeds[0]))
    return found.values() if digest in (None, found.data_digest) else None
