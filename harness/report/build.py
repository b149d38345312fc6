"""The page for readers and auditors: the verdict first, then every table, claim, finding and run in one HTML file."""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from PIL import Image

from harness.audit.audit import audit
from harness.audit.names import named, series_names
from harness.audit.samples import Samples
from harness.audit.verdict_page import PAGE
from harness.data.atomic import write_text
from harness.errors import UserError
from harness.figures.draw import without_pictures
from harness.figures.series import Curve, threshold_curves
from harness.figures.spec import figure_ids
from harness.paths import ROOT
from harness.records.plan import Plan
from harness.report.examples import Examples
from harness.report.methods import for_all_methods, method_cards
from harness.report.overview import closer, pictures
from harness.report.runs import Runs
from harness.report.svg import bars, curves
from harness.tables.budget import CAVEAT
from harness.tables.built import read_tables
from harness.tables.render_html import environment, numbers_content
from harness.tables.spec import load_table, table_ids
from harness.tables.table import AnyTable, Table
from harness.tables.view import STATE_TEXT, any_known, full_title

ROOMS = [Path(__file__).parent / "templates", Path(__file__).parents[1] / "tables" / "templates"]
FIGURE_WIDTH = 1200
LARGEST = 1_450_000
"""Bytes of a page: pictures get what the rest of it leaves."""
DATA = "-the data of the page-"
SAID_BY_THE_RUN = ("state", "reason", "records", "initial weights")
VERDICT = ROOT / PAGE.with_suffix(".json")


def build_report(plan: Plan, folder: Path, target: Path) -> Path:
    """Write the report on the tables in `folder`. Raises UserError when none is built."""
    tables = read_tables(folder)
    if not tables:
        raise UserError(f"{folder}: no table is built; run: snakemake --cores 2 -- {folder / 'all'}")
    write_text(target, render(plan, tables, folder))
    return target


def render(plan: Plan, tables: Mapping[str, AnyTable], folder: Path) -> str:
    """Return the page; equal inputs give equal text."""
    examples = Examples(plan)
    figures = _figures(folder, examples)
    runs = Runs(plan, tables)
    shown = [_table(table, runs) for table in tables.values()]
    content = runs.content()
    heads = {table.id: _heads(table) for table in tables.values() if isinstance(table, Table)}
    data = {"cells": {t["table"].id: t.pop("details") for t in shown}, "heads": heads, **content}
    used = {cell.method for cell, _ in runs.cells.values()}
    audited = audit(tables)
    verdict, samples = read_verdict(), Samples(runs.evidence)
    drawn, printed_only = threshold_plots(threshold_curves(tables))
    template = _environment(plan, tables).get_template("report.html.j2")
    page = template.render(
        protocol=plan.protocol,
        verdict=verdict,
        verdicts={line["id"]: line for line in verdict["lines"] if not line["step"]} if verdict else {},
        overview=pictures(samples),
        closer=closer(samples, verdict),
        tables=shown,
        figures=[figure for figure in figures if figure["src"]],
        without=[figure for figure in figures if not figure["src"]],
        coverage=runs.coverage(),
        reasons=runs.reasons(),
        number_of_records=runs.records,
        number_of_runs=len(runs.cells),
        audit=audited,
        on_print=dict(Counter(claim["published"]["verdict"] for claim in audited["claims"]).most_common()),
        titles={name: full_title(s.label, s.paper, s.title) for name in table_ids() for s in [load_table(name)]},
        banner=CAVEAT if any(table.protocol.reduced for table in tables.values()) else "",
        curves=drawn,
        printed_only=printed_only,
        methods=method_cards(plan.methods, plan.protocol, used),
        for_all=for_all_methods(plan.protocol),
        states=STATE_TEXT,
        data=DATA,
    )
    examples.left = min(examples.left, LARGEST - len(page.encode()) - len(pack(data)))
    for run, seen in zip(content["runs"], examples.of_all(list(runs.cells.values())), strict=True):
        if "no_examples" in seen:
            seen["no_examples"] = runs.texts.place(seen["no_examples"])
        for one in seen.get("examples", ()):
            one["src"] = runs.pictures.place(one["src"])
        run |= seen
    return page.replace(DATA, pack(data)) + "\n"


def read_verdict(path: Path = VERDICT) -> dict[str, Any] | None:
    """Return the content of docs/results/verdict.json; None where it was not written yet."""
    content: dict[str, Any] | None = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    return content


def pack(data: Any) -> str:
    """Return data as deflated JSON in base64, which the page inflates: small, and safe inside a script element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def _environment(plan: Plan, tables: Mapping[str, AnyTable]) -> Environment:
    names = series_names(tables, plan.methods)
    made = environment(ROOMS)
    made.filters["named"] = lambda text, *tables: named(str(text), names, tables)
    return made


def _heads(table: Table) -> dict[str, list[list[str]]]:
    """Return id and title of rows and columns: a cell's address in the page, and its heading."""
    both = {"rows": table.rows, "columns": table.columns}
    return {what: [[head.id, head.name] for head in heads] for what, heads in both.items()}


def _table(table: AnyTable, runs: Runs) -> dict[str, Any]:
    """Return one table as the template shows it; `details` hold each cell's facts and the runs behind it."""
    if not isinstance(table, Table):
        return {"table": table, "content": None, "plots": [], "measured": True, "details": []}
    content = numbers_content(table)
    details = [
        {"facts": [fact for fact in detail["facts"] if not (behind and fact[0] in SAID_BY_THE_RUN)], "runs": behind}
        for detail, behind in zip(content["details"], runs.of_table(table), strict=True)
    ]
    measured = any_known(table)
    plots = bars(table) if table.methods == "columns" and measured else []
    return {"table": table, "content": content, "measured": measured, "plots": plots, "details": details}


def threshold_plots(found: Mapping[str, list[Curve]]) -> tuple[list[Markup], list[str]]:
    """Return the plots of categories of which a curve is reproduced, on the same axes, and the others' titles."""
    shown = {title: group for title, group in found.items() if not all(curve.published for curve in group)}
    highest = max((y for group in shown.values() for curve in group for y in curve.y), default=1.0) or 1.0
    widest = max((x for group in shown.values() for curve in group for x in curve.x), default=1.0) or 1.0
    drawn = [curves(title, group, highest, widest) for title, group in shown.items()]
    return drawn, [title for title in found if title not in shown]


def _figures(folder: Path, examples: Examples) -> list[dict[str, Any]]:
    """Return the figures that are built: with a picture of moderate size, or none where nothing could be shown."""
    found: list[dict[str, Any]] = []
    for name in figure_ids():
        picture, caption = folder / f"{name}.png", folder / f"{name}.json"
        if not picture.is_file() or not caption.is_file():
            continue
        content = json.loads(caption.read_text())
        if not any(image["iou"] for image in content["images"]):
            found.append({"id": name, "src": None, "why": without_pictures(content)})
            continue
        with Image.open(picture) as image:
            image.thumbnail((FIGURE_WIDTH, 10**4))
            source, size = examples.encode(image), image.size
        found.append({**content, "src": source, "width": size[0], "height": size[1]})
    return found
