"""A table as one self-contained HTML file: no request to anywhere; for phones, light and dark, and keyboards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.tables.budget import CAVEAT
from harness.tables.prose import low
from harness.tables.table import AnyTable, Head, LayerTable, Table, TableCell
from harness.tables.view import (
    BELOW,
    BOTH,
    LEGEND,
    READS,
    STATE_TEXT,
    VIEWS,
    Options,
    difference,
    fitting,
    full_title,
    group_text,
    headings,
    number,
    own_first,
    panels,
    reproduced,
    spread,
    spread_kind,
    state_word,
)

TEMPLATES = Path(__file__).parent / "templates"
TALL = 8
"""With more columns than this, long headings stand upright."""
LONG = 7
"""Letters of a heading from which on it is long."""


def to_html(table: AnyTable, options: Options = BOTH) -> str:
    """Return a table as HTML. All text of the table is escaped; only our own style and script are not."""
    heading = full_title(table.label, table.paper, table.title)
    about = {"table": table, "heading": heading, "banner": CAVEAT if table.protocol.reduced else ""}
    if isinstance(table, LayerTable):
        return _environment().get_template("layers.html.j2").render(**about, coverage=[]) + "\n"
    assert isinstance(table, Table)
    coverage = [(state, n, state_word(state, n)) for state, n in table.coverage.items() if n]
    content = numbers_content(table, options)
    return _environment().get_template("numbers.html.j2").render(**about, coverage=coverage, content=content) + "\n"


@cache
def _environment() -> Environment:
    return environment([TEMPLATES])


def environment(folders: list[Path]) -> Environment:
    """Return the template environment: everything is escaped; `low` sets the subscripts of names."""
    made = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["low"] = low
    return made


def numbers_content(table: Table, options: Options = BOTH) -> dict[str, Any]:
    """Return what the templates show of a table of numbers; `details` are in the order of its cells, row by row."""
    details = [
        {"title": f"{row.name}, {column.name}", "facts": _facts(cell, table.measures)}
        for row, column, cell in table.by_row()
    ]
    places = {(row.id, column.id): i for i, (row, column, _) in enumerate(table.by_row())}
    view = fitting(table, options.view)
    return {
        "panels": [_panel(part, places, details) for part in panels(own_first(table))],
        "details": details,
        "view": view,
        "views": [(name, READS[name]) for name in VIEWS] if view == options.view else [],
        "legend": _legend(table),
        "line": "column" if table.methods == "rows" else "row",
        "nearest": _nearest(table),
        "missing": [
            (line, [group_text(group, table.protocol.seeds) for group in line.groups]) for line in table.missing
        ],
    }


def _legend(table: Table) -> list[tuple[str, str]]:
    """Return class and meaning of the shades and of grey, where they occur."""
    cells = [cell for _, _, cell in table.by_row()]
    shades = any(cell.shade or cell.published_shade for cell in cells)
    found = [(f"s{step} p{step}", LEGEND[step]) for step in (3, 2, 1)] if shades else []
    return found + ([("below", BELOW)] if any(cell.below for cell in cells) else [])


def _panel(table: Table, places: Mapping[tuple[str, str], int], details: list[dict[str, Any]]) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    for row, cells in zip(table.rows, table.cells, strict=True):
        indices = [places[row.id, column.id] for column in table.columns]
        shown = [_cell(cell, i, details[i]["title"]) for cell, i in zip(cells, indices, strict=True)]
        starts = row.group is not None and (not rows or rows[-1]["head"].group != row.group)
        rows.append({"head": row, "starts_group": starts, "subtitle": _subtitle(row), "cells": shown})
    yardsticks = all(head.role == "yardstick" for head in table.series)
    lines = headings(table.columns)[int(yardsticks) :]
    long = max((len(span.title.text) for span in lines[-1] if span.width == 1), default=0) >= LONG
    return {
        "headings": lines,
        "names": [column.name for column in table.columns],
        "rows": rows,
        "width": len(table.columns) + 1,
        "tall": long and len(table.columns) > TALL,
        "yardsticks": yardsticks,
    }


def _subtitle(head: Head) -> str:
    return " ".join(text.text for text in head.subtitles)


def _cell(cell: TableCell, index: int, title: str) -> dict[str, Any]:
    steps = [f"s{cell.shade}"] * bool(cell.shade) + [f"p{cell.published_shade}"] * bool(cell.published_shade)
    return {
        "classes": " ".join([cell.state, *steps, *(["below"] if cell.below else [])]),
        "reproduced": reproduced(cell)[0],
        "mark": reproduced(cell)[1],
        "published": number(cell.published, cell.published_decimals),
        "difference": difference(cell),
        "value": cell.any_value,
        "summary": f"{title}: {STATE_TEXT[cell.state]}" + (f": {cell.reason}" if cell.reason else ""),
        "index": index,
    }


def _facts(cell: TableCell, measures: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is known of a cell, as pairs of a name and a text; what is unknown is left out."""
    value, measure = cell.any_value, measures.get(cell.measure or "", cell.measure)
    facts = [
        ("reproduced", "" if value is None else f"{number(value, 4)} ({measure})"),
        (spread_kind(cell), spread(cell)),
        ("seeds", str(cell.n_seeds) if cell.n_seeds else ""),
        ("published", number(cell.published, cell.published_decimals)),
        ("difference", difference(cell)),
        ("rank", f"{cell.rank} of {cell.ranked}" if cell.rank else ""),
        ("yardstick", BELOW if cell.below else ""),
        ("state", STATE_TEXT[cell.state]),
        ("reason", cell.reason or ""),
        ("categories", "" if cell.count is None else f"{cell.count[0]}/{cell.count[1]}"),
        ("threshold", _threshold(cell)),
        ("initial weights", "; ".join(cell.weights_origin)),
        ("records", ", ".join(cell.records)),
    ]
    return [(name, text) for name, text in facts if text]


def _threshold(cell: TableCell) -> str:
    if cell.policy is None:
        return ""
    value = "" if cell.threshold is None else f" = {number(cell.threshold, 4)}"
    return f"{cell.policy}{value}" + (" (oracle)" if cell.oracle else "")


def _nearest(table: Table) -> list[dict[str, Any]]:
    names = {head.id: head.name for head in table.series}
    return [
        {
            "column": names[line.column],
            "cells": line.cells,
            "distances": {table.measures[measure]: value for measure, value in line.distances.items()},
            "nearest": "cannot tell" if line.nearest is None else table.measures[line.nearest],
        }
        for line in table.nearest_measure
    ]
