"""Which of several measures comes nearest to a published column: what did the paper really print there?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from statistics import fmean
from typing import Any

from harness.tables.cells import Evidence, resolve
from harness.tables.layout import Layout, Query

FEWEST = 3
"""Over fewer cells a distance says nothing."""


def nearest_measures(evidence: Evidence, spec: Mapping[str, Any], table: Layout) -> list[dict[str, Any]]:
    """Return, for each column with published and measured cells, the mean distance of each measure to the print.

    All measures are taken at the column's own threshold policy and over the same cells: those where all are there.
    `nearest` is None where that cannot be told: over too few cells, or by less than the print is rounded.
    """
    names = spec.get("nearest_measure", [])
    unit = 10.0 ** -spec.get("published_decimals", spec.get("decimals", 2))
    found = []
    for c, column in enumerate(table.columns) if names else ():
        dataset = column.entry.get("dataset", spec.get("dataset"))
        if evidence.plan.stand_in(dataset) != dataset:
            continue
        pairs = [
            (table.published.value(row.id, column.id), _values(evidence, table.queries[r][c], names))
            for r, row in enumerate(table.rows)
            if not row.reduced
        ]
        complete = [(published, values) for published, values in pairs if published is not None and None not in values]
        if complete:
            found.append({"column": column.id, "cells": len(complete), **_distances(names, complete, unit)})
    return found


def _values(evidence: Evidence, query: Query | None, names: list[str]) -> list[float | None]:
    return [None if query is None else resolve(evidence, replace(query, measure=name))["mean"] for name in names]


def _distances(names: list[str], complete: list[tuple[Any, list[Any]]], unit: float) -> dict[str, Any]:
    distances = {
        name: round(fmean(abs(values[i] - published) for published, values in complete), 6)
        for i, name in enumerate(names)
    }
    first, second = sorted(distances.values())[:2]
    # Printed numbers are off by half a unit either way, so two distances differ for sure only by a whole one.
    told = len(complete) >= FEWEST and second - first >= unit - 1e-9
    return {"distances": distances, "nearest": min(names, key=lambda name: distances[name]) if told else None}
