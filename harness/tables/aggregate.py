"""From the plan's evidence and a table's description to the JSON that is the truth of one table.

Everything that is printed, shown or audited later is a view of this JSON (and of the records that it names).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.metrics.measures import MEASURES
from harness.tables.budget import reduced
from harness.tables.cells import Evidence, resolve
from harness.tables.layers import layer_table
from harness.tables.layout import Head, Layout, layout
from harness.tables.missing import missing
from harness.tables.nearest import nearest_measures
from harness.tables.notes import Notes
from harness.tables.provenance import coverage, machines, provenance
from harness.tables.ranks import rank_cells
from harness.tables.render import SCHEMA


def aggregate(evidence: Evidence, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a table. Raises ConfigError when the description and the methods do not fit."""
    plan = evidence.plan
    named = {"schema": SCHEMA, **{key: spec[key] for key in ("id", "kind", "label", "paper", "title")}}
    named["protocol"] = {"id": plan.protocol.id, "title": plan.protocol.title, "seeds": list(plan.protocol.seeds)}
    named["protocol"]["reduced"] = reduced(plan.protocol)
    return named | (layer_table(plan, spec) if spec["kind"] == "layers" else _numbers(evidence, spec))


def _numbers(evidence: Evidence, spec: Mapping[str, Any]) -> dict[str, Any]:
    plan = evidence.plan
    table = layout(plan, spec)
    cells = [[_cell(evidence, spec, table, r, c) for c in range(len(table.columns))] for r in range(len(table.rows))]
    by_column = spec["kind"] == "classes"
    _rank(table, spec, cells, by_column)
    notes = Notes(evidence, spec, table, cells)
    return {
        "caption": notes.caption(),
        "notes": notes.sentences(),
        "footnotes": notes.footnotes(),
        "datasets": notes.datasets(),
        "corner": spec.get("corner", ""),
        "shading": "column" if by_column else "row",
        "columns": [_head(column, notes, "column", not by_column) for column in table.columns],
        "rows": [
            _head(row, notes, "row", by_column) | {"cells": line} for row, line in zip(table.rows, cells, strict=True)
        ],
        "coverage": coverage(evidence, table),
        "missing": missing(evidence, table),
        "machines": machines(evidence, table),
        "measures": {name: MEASURES[name].title for name in sorted(_measured(spec, table))},
        "nearest_measure": nearest_measures(evidence, spec, table),
        "provenance": provenance(evidence, table),
    }


def _measured(spec: Mapping[str, Any], table: Layout) -> set[str]:
    """Return the ids of the measures that the table's cells and its comparison of measures show."""
    queries = (query for row in table.queries for query in row if query is not None)
    return {query.measure for query in queries} | set(spec.get("nearest_measure", []))


def write_json(table: Mapping[str, Any], path: Path) -> None:
    """Write a table's JSON atomically; equal tables give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(to_json(table))
    temporary.replace(path)


def to_json(table: Mapping[str, Any]) -> str:
    """Return the text of a table's JSON."""
    return json.dumps(table, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _cell(evidence: Evidence, spec: Mapping[str, Any], table: Layout, r: int, c: int) -> dict[str, Any]:
    row, column, query = table.rows[r], table.columns[c], table.queries[r][c]
    cell = resolve(evidence, query)
    line = row if spec["kind"] == "classes" else column
    if "published_only" in line.entry:
        cell["reason"] = line.entry["published_only"]
    dataset = line.entry.get("dataset", spec.get("dataset"))
    comparable = evidence.plan.stand_in(dataset) == dataset
    published = table.published.value(row.id, column.id) if comparable else None
    difference = None if published is None or cell["mean"] is None else round(cell["mean"] - published, 9)
    decimals = next((d for d in (row.decimals, column.decimals) if d is not None), spec.get("decimals", 2))
    return cell | {
        "published": published,
        "difference": difference,
        "decimals": decimals,
        "published_decimals": spec.get("published_decimals", decimals),
        "rank": None,
        "ranked": 0,
    }


def _rank(table: Layout, spec: Mapping[str, Any], cells: list[list[dict[str, Any]]], by_column: bool) -> None:
    lines = table.rows if by_column else table.columns
    groups = [line.entry.get("dataset", spec.get("dataset")) for line in lines]
    for line in zip(*cells, strict=True) if by_column else cells:
        rank_cells(list(line), groups)


def _head(head: Head, notes: Notes, axis: str, methods: bool) -> dict[str, Any]:
    """Return a row's or column's heading; `methods` says whether it stands for a method."""
    content = {"id": head.id, "title": head.title, "latex": head.latex, "reduced": head.reduced}
    if not methods:
        measure = head.entry.get("measure")
        return content | ({} if measure is None else {"measure": measure, "better": MEASURES[measure].better})
    subtitles = [text if isinstance(text, dict) else {"text": text, "latex": None} for text in _subtitles(head)]
    return content | {
        "subtitles": subtitles,
        "group": head.entry.get("group"),
        "method": head.entry.get("method"),
        "dataset": head.entry.get("dataset", notes.spec.get("dataset")),
        "policy": notes.policy(head, axis),
        "published_as": head.entry.get("published_as"),
        "footnotes": notes.marks(head, axis),
    }


def _subtitles(head: Head) -> list[Any]:
    subtitles: list[Any] = head.entry.get("subtitles", [])
    return subtitles
