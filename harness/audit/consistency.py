"""Do the published numbers agree with each other: means with their columns, tables with tables?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.audit.numbers import Absent, PublishedNumbers
from harness.config import read_yaml, validate
from harness.paths import ROOT
from harness.tables.spec import load_numbers

RULES = ROOT / "published" / "consistency.yaml"
AGREES, DIFFERS, UNKNOWN = "agrees", "differs", "cannot be judged"


def load_rules(path: Path = RULES) -> dict[str, Any]:
    """Return what ought to agree. Raises ConfigError for a malformed file."""
    rules: dict[str, Any] = read_yaml(path)
    validate(rules, "consistency", path)
    return rules


def check_all(rules: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what became of every rule, ready for JSON."""
    published = PublishedNumbers()
    means = [check_mean(table, name, published) for table in rules["means"] for name in published.series(table)]
    return {"means": means, "same": [check_same(rule, published) for rule in rules["same"]]}


def check_mean(table: str, series: str, published: PublishedNumbers) -> dict[str, Any]:
    """Hold a published mean against the mean of the published cells.

    Cells and mean are rounded: each may be off by half a unit of its last digit, so they agree within one unit.
    """
    found = [published.value(table, series, position) for position in published.positions(table)]
    cells = [value for value in found if not isinstance(value, Absent)]
    mean = published.value(table, series, "mean")
    result: dict[str, Any] = {"table": table, "series": series, "cells": len(cells), "of": len(found)}
    if isinstance(mean, Absent) or not cells:
        known = None if isinstance(mean, Absent) else mean
        return result | {"published": known, "computed": None, "verdict": UNKNOWN}
    unit = 10.0 ** -load_numbers(table).decimals
    computed = fmean(cells)
    verdict = AGREES if abs(computed - mean) <= unit + 1e-9 else DIFFERS
    return result | {"published": mean, "computed": round(computed, 6), "verdict": verdict}


def check_same(rule: Mapping[str, Any], published: PublishedNumbers) -> dict[str, Any]:
    """Compare two published series, or all that two tables share, cell by cell (the means apart)."""
    left, right = rule["left"], rule["right"]
    shared = [name for name in published.series(left["table"]) if name in published.series(right["table"])]
    names = [(left["series"], right["series"])] if "series" in left else [(name, name) for name in shared]
    places = [*published.positions(left["table"]), "mean"]
    cells = [
        {
            "series": name,
            "position": place,
            "left": published.value(left["table"], name, place),
            "right": published.value(right["table"], other, place),
        }
        for name, other in names
        for place in places
    ]
    both = [c for c in cells if not isinstance(c["left"], Absent) and not isinstance(c["right"], Absent)]
    differing = [cell for cell in both if cell["left"] != cell["right"]]
    verdict = DIFFERS if differing else AGREES if both else UNKNOWN
    found = {"compared": len(both), "differing": differing, "verdict": verdict}
    return {**{key: rule[key] for key in ("id", "why", "left", "right")}, **found}
