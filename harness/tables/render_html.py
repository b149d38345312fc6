"""A table as one self-contained HTML file: no request to anywhere; for phones, light and dark, and keyboards."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.tables.prose import low
from harness.tables.view import (
    STATE_TEXT,
    coarser,
    difference,
    group_text,
    headings,
    number,
    shade,
    spread,
    spread_kind,
)

TEMPLATES = Path(__file__).parent / "templates"
DARK = 0.7
"""From this shade on the small text needs full contrast."""


def to_html(table: Mapping[str, Any]) -> str:
    """Return a table as HTML. All text of the table is escaped; only our own style and script are not."""
    layers = table["kind"] == "layers"
    template = _environment().get_template("layers.html.j2" if layers else "numbers.html.j2")
    content = layers_content(table) if layers else numbers_content(table)
    coverage = [(state, n, STATE_TEXT[state].split(":")[0]) for state, n in table.get("coverage", {}).items() if n]
    return template.render(table=table, coverage=coverage, **content) + "\n"


@cache
def _environment() -> Environment:
    return environment([TEMPLATES])


def environment(folders: list[Path]) -> Environment:
    """Return the template environment: everything is escaped; `low` sets the subscripts of names."""
    made = Environment(loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    made.filters["low"] = low
    return made


def numbers_content(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template of a table of numbers shows; `details` are in the order of the cells."""
    rows: list[dict[str, Any]] = []
    details: list[dict[str, Any]] = []
    group = None
    for row in table["rows"]:
        cells = []
        for column, cell in zip(table["columns"], row["cells"], strict=True):
            facts = _facts(cell, table["measures"])
            title = f"{_name(row)}, {_name(column)}"
            cells.append(_cell(cell, title, len(details), column["reduced"]))
            details.append({"title": title, "facts": facts})
        starts = row.get("group") is not None and row.get("group") != group
        group = row.get("group")
        subtitle = " ".join(text["text"] for text in row.get("subtitles", []))
        marks = ",".join(row.get("footnotes", []))
        head = {name: row[name] for name in ("title", "reduced")}
        rows.append(
            head | {"group": group, "starts_group": starts, "subtitle": subtitle, "marks": marks, "cells": cells}
        )
    return {
        "headings": headings(table["columns"]),
        "rows": rows,
        "details": details,
        "nearest": _nearest(table),
        "missing": _missing(table),
        "hint": _hint(table),
    }


def _hint(table: Mapping[str, Any]) -> str:
    """Return how to read shades and small print."""
    line = "columns" if table["shading"] == "column" else "rows"
    cells = [cell for row in table["rows"] for cell in row["cells"]]
    oracles = " Oracles (†) are not ranked." if any(cell["oracle"] for cell in cells) else ""
    small = any(cell["published"] is not None for cell in cells)
    paper = " Small: the published number, and the difference (reproduced minus published)." if small else ""
    return f"Shades rank the numbers within {line}: the stronger, the better; the best are bold.{oracles}{paper}"


def _cell(cell: Mapping[str, Any], title: str, index: int, reduced: bool) -> dict[str, Any]:
    value = cell["mean"] if cell["mean"] is not None else cell["stale_mean"]
    words = {"measured": "", "recorded": "", "not_applicable": "n/a", "incomplete": _count(cell)}
    words["not_measured"] = "not measured"
    level = shade(cell)
    return {
        "state": cell["state"],
        "shade": level,
        "dark": level is not None and level >= DARK,
        "best": cell["rank"] == 1 and cell["ranked"] > 1,
        "reduced": reduced,
        "number": number(value, cell["decimals"]),
        "oracle": cell["oracle"],
        "word": words.get(cell["state"], cell["state"]),
        "paper": number(cell["published"], cell["published_decimals"]),
        "difference": difference(cell["difference"], coarser(cell)),
        "summary": f"{title}: {STATE_TEXT[cell['state']]}" + (f": {cell['reason']}" if cell["reason"] else ""),
        "index": index,
    }


def _facts(cell: Mapping[str, Any], measures: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what is known of a cell, as pairs of a name and a text; what is unknown is left out."""
    value = cell["mean"] if cell["mean"] is not None else cell["stale_mean"]
    facts = [
        ("reproduced", "" if value is None else f"{number(value, 4)} ({measures[cell['measure']]})"),
        (spread_kind(cell), spread(cell)),
        ("seeds", str(cell["n_seeds"]) if cell["n_seeds"] else ""),
        ("paper", number(cell["published"], cell["published_decimals"])),
        ("difference", difference(cell["difference"], coarser(cell))),
        ("rank", f"{cell['rank']} of {cell['ranked']}" if cell["rank"] else ""),
        ("state", STATE_TEXT[cell["state"]]),
        ("reason", cell["reason"] or ""),
        ("categories", _count(cell)),
        ("threshold", _threshold(cell)),
        ("initial weights", "; ".join(cell["weights_origin"])),
        ("records", ", ".join(cell["records"])),
    ]
    return [(name, text) for name, text in facts if text]


def _threshold(cell: Mapping[str, Any]) -> str:
    if cell["policy"] is None:
        return ""
    value = "" if cell["threshold"] is None else f" = {number(cell['threshold'], 4)}"
    return f"{cell['policy']}{value}" + (" (oracle)" if cell["oracle"] else "")


def _count(cell: Mapping[str, Any]) -> str:
    return "" if cell["count"] is None else f"{cell['count'][0]}/{cell['count'][1]}"


def _name(head: Mapping[str, Any]) -> str:
    subtitles = [text["text"] for text in head.get("subtitles", []) if text["text"]]
    return " ".join([*([head["group"]] if head.get("group") else []), head["title"], *subtitles])


def _nearest(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    titles = {column["id"]: _name(column) for column in table["columns"]}
    measures = table["measures"]
    return [
        line
        | {
            "column": titles[line["column"]],
            "distances": {measures[measure]: value for measure, value in line["distances"].items()},
            "nearest": "cannot tell" if line["nearest"] is None else measures[line["nearest"]],
        }
        for line in table["nearest_measure"]
    ]


def _missing(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    seeds = table["protocol"]["seeds"]
    return [line | {"groups": [group_text(group, seeds) for group in line["groups"]]} for line in table["missing"]]


def layers_content(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template of a layer table shows."""
    networks = [row["network"] for row in table["rows"]]
    starts = [i == 0 or networks[i - 1] != name for i, name in enumerate(networks)]
    return {"rows": [row | {"starts_group": first} for row, first in zip(table["rows"], starts, strict=True)]}
