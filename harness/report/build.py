"""The page for auditors: one HTML file with every table, claim, finding and run. No request to anywhere."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from PIL import Image

from harness.audit.audit import audit, read_tables
from harness.audit.names import named, series_names
from harness.data.atomic import write_text
from harness.errors import UserError
from harness.figures.series import threshold_curves
from harness.figures.spec import figure_ids
from harness.records.plan import Plan
from harness.report.examples import Examples
from harness.report.methods import method_cards
from harness.report.runs import Runs
from harness.report.svg import bars, curves
from harness.tables.render_html import environment, layers_content, numbers_content
from harness.tables.spec import load_table, table_ids
from harness.tables.view import STATE_TEXT, full_title

ROOMS = [Path(__file__).parent / "templates", Path(__file__).parents[1] / "tables" / "templates"]
FIGURE_WIDTH = 1400


def build_report(plan: Plan, folder: Path, target: Path) -> Path:
    """Write the report on the tables in `folder`. Raises UserError when none is built."""
    tables = read_tables(folder)
    if not tables:
        raise UserError(f"{folder}: no table is built; run: snakemake --cores 2 -- {folder / 'all'}")
    write_text(target, render(plan, tables, folder))
    return target


def render(plan: Plan, tables: Mapping[str, Mapping[str, Any]], folder: Path) -> str:
    """Return the page; equal inputs give equal text."""
    examples = Examples(plan)
    figures = _figures(folder, examples)
    runs = Runs(plan, tables)
    shown = [_table(table, runs) for table in tables.values()]
    content = runs.content()
    for run, (cell, evidence) in runs.ids.items():
        content[run] |= examples.of(cell, evidence)
    data = {"cells": {t["id"]: t.pop("details") for t in shown}, "runs": content, "images": runs.image_sets}
    used = {cell.method for cell, _ in runs.ids.values()}
    audited = audit(tables)
    page = _environment(plan, tables).get_template("report.html.j2")
    return (
        page.render(
            protocol=plan.protocol,
            tables=shown,
            figures=figures,
            coverage=runs.coverage(),
            reasons=runs.reasons(),
            runs=_index(content),
            audit=audited,
            verdicts=_verdicts(audited),
            titles={name: full_title(load_table(name)) for name in table_ids()},
            curves=_threshold_plots(tables),
            methods=method_cards(plan.methods, plan.protocol, used),
            states=STATE_TEXT,
            data=Markup(embed(data)),
        )
        + "\n"
    )


def embed(data: Any) -> str:
    """Return JSON that is safe inside a script element, whatever the names in it are."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def _environment(plan: Plan, tables: Mapping[str, Mapping[str, Any]]) -> Environment:
    names = series_names(tables, plan.methods)
    made = environment(ROOMS)
    made.filters["named"] = lambda text, *tables: named(str(text), names, tables)
    return made


def _verdicts(audited: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """Return how often each verdict was given, on the published numbers and on the reproduced ones."""
    return {
        side: dict(Counter(claim[side]["verdict"] for claim in audited["claims"]).most_common())
        for side in ("published", "reproduced")
    }


def _table(table: Mapping[str, Any], runs: Runs) -> dict[str, Any]:
    """Return one table as the template shows it; `details` hold each cell's facts and the runs behind it."""
    if table["kind"] == "layers":
        return {**table, "content": layers_content(table), "plots": [], "details": []}
    content = numbers_content(table)
    behind = runs.of_table(table)
    details = [detail | {"runs": ids} for detail, ids in zip(content["details"], behind, strict=True)]
    cells = [cell for row in table["rows"] for cell in row["cells"]]
    values = [cell["mean"] if cell["mean"] is not None else cell["stale_mean"] for cell in cells]
    plots = bars(table) if table["kind"] == "grid" else []
    return {**table, "content": content, "values": values, "plots": plots, "details": details}


def _index(content: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one line a run for the list of all runs; those that no method is meant for are left out."""
    lines = []
    for name, run in content.items():
        if run["state"] == "not_applicable":
            continue
        record = run.get("record", {})
        head = {key: run[key] for key in ("dataset", "category", "method", "seed", "state", "reason")}
        chosen = {m["name"]: m["value"] for m in record.get("measures", []) if m["policy"] in (None, run.get("policy"))}
        numbers = [chosen.get(key) for key in ("iou", "pixel_auroc", "image_auroc")]
        lines.append({"id": name, **head, "numbers": [*numbers, record.get("fit", {}).get("seconds")]})
    return lines


def _threshold_plots(tables: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    found = threshold_curves(tables)
    highest = max((y for group in found.values() for curve in group for y in curve.y), default=1.0) or 1.0
    return [curves(title, group, highest) for title, group in found.items()]


def _figures(folder: Path, examples: Examples) -> list[dict[str, Any]]:
    """Return the figures that are built, each with its caption and a picture of moderate size."""
    found = []
    for name in figure_ids():
        picture, caption = folder / f"{name}.png", folder / f"{name}.json"
        if picture.is_file() and caption.is_file():
            with Image.open(picture) as image:
                image.thumbnail((FIGURE_WIDTH, 10**4))
                source = examples.encode(image, quality=80)
                size = image.size
            found.append({**json.loads(caption.read_text()), "src": source, "width": size[0], "height": size[1]})
    return found
