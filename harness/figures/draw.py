"""A figure as files: PDF and PNG without dates, so that equal figures have equal bytes, and their caption as JSON."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from harness.data.atomic import atomic_file, write_text
from harness.figures.panels import SIDE, Line, lines
from harness.figures.spec import check_methods, shown_categories
from harness.records.choose import rule
from harness.records.plan import Plan
from harness.tables.budget import caveat, reduced

GAP, UNDER = 12, 34
"""Pixels between two panels, and below one, where its IoU stands."""
INCH = 0.82
LEFT, TOP = 0.74, 0.26
FOOT, FOOT_SIZE, CHARACTERS = 0.1, 5.2, 25
"""Inches of a line below the pictures, its font size, and how many characters an inch holds."""
CARRIED = (
    "Pictures that the records carry, for data or maps are not here: per category, anomalous images spread evenly over "
    "the order of their defects' areas; green outlines the ground truth."
)
CARRIED_FOOT = " Green: the ground truth; white: the threshold behind the IoU."
EMPTY = np.array([236, 237, 239], np.uint8)
STYLE: Any = {"font.family": "DejaVu Sans", "pdf.fonttype": 42, "svg.hashsalt": "harness", "text.usetex": False}
NO_DATES: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None},
    "png": {"Software": None},
}


def build(plan: Plan, spec: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write <id>.pdf, <id>.png and <id>.json into `folder`; return what the JSON holds."""
    check_methods(spec, plan)
    found = [line for category in shown_categories(plan, spec) for line in lines(plan, spec, category)]
    heads = ["Input", "Ground truth", *(plan.methods[name].latex.replace("--", "–") for name in spec["methods"])]
    content = describe(plan, spec, found)
    shown = any(panel.image is not None for line in found for panel in line.panels[2:])
    foot = f"{content['label']}. {content['data']}{CARRIED_FOOT if content['rule'] == CARRIED else ''}"
    titles = ["input", "ground truth", *(plan.methods[name].title for name in spec["methods"])]
    kept, left, out = with_pictures(found, titles)
    drawn = draw([heads[c] for c in kept], left, f"{foot}{out}") if shown else sentence(without_pictures(content))
    save(drawn, folder / spec["id"])
    write_text(folder / f"{spec['id']}.json", json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return content


def with_pictures(found: Sequence[Line], titles: Sequence[str]) -> tuple[list[int], list[Line], str]:
    """Return the columns that hold a picture, the lines that do with these columns only, and what names the others."""
    kept = [c for c in range(len(titles)) if any(line.panels[c].image is not None for line in found)]
    lines_kept = [line for line in found if any(panel.image is not None for panel in line.panels)]
    shown = {line.category for line in lines_kept}
    bare = list(dict.fromkeys(line.category for line in found if line.category not in shown))
    out = [*(title for c, title in enumerate(titles) if c > 1 and c not in kept), *bare]
    cut = [replace(line, panels=[line.panels[c] for c in kept]) for line in lines_kept]
    return kept, cut, f" Left out, for there is nothing to show: {', '.join(out)}." if out else ""


def save(figure: Figure, stem: Path, dpi: int = 200) -> None:
    """Write a figure as <stem>.pdf and <stem>.png, atomically and without dates."""
    for form, metadata in NO_DATES.items():
        with atomic_file(stem.with_name(f"{stem.name}.{form}")) as target, matplotlib.rc_context(STYLE):
            figure.savefig(target, format=form, metadata=metadata, dpi=dpi, facecolor="white")


def draw(heads: Sequence[str], found: Sequence[Line], foot: str) -> Figure:
    """Return a grid: one line an image, one column a heading; below it what the picture must not travel without."""
    rows, columns = max(len(found), 1), len(heads)
    below = textwrap.wrap(foot, round((LEFT + columns * INCH) * CHARACTERS))
    bottom = FOOT * (len(below) + 0.6)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(LEFT + columns * INCH, TOP + rows * INCH * (SIDE + UNDER) / (SIDE + GAP) + bottom))
        width, height = figure.get_size_inches()
        axes = figure.add_axes((LEFT / width, bottom / height, 1 - LEFT / width, 1 - (TOP + bottom) / height))
        text: dict[str, Any] = {"fontsize": FOOT_SIZE, "color": "#555a62", "va": "bottom", "parse_math": False}
        figure.text(0.06 / width, 0.05 / height, "\n".join(below), **text)
        axes.imshow(_canvas(found, rows, columns), interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        for c, head in enumerate(heads):
            axes.text(c * (SIDE + GAP) + SIDE / 2, -0.08 * SIDE, head, ha="center", va="baseline", fontsize=7.5)
        for r, line in enumerate(found):
            _label(axes, r, line, found[r - 1].category if r else None)
    return figure


def sentence(text: str) -> Figure:
    """Return a figure that shows nothing and says why in a sentence."""
    lines = textwrap.wrap(text, 110)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.2 + 0.16 * len(lines)))
        figure.text(0.02, 0.5, "\n".join(lines), fontsize=7.5, va="center", color="#555a62", parse_math=False)
    return figure


def without_pictures(content: Mapping[str, Any]) -> str:
    """Return why a figure shows no map, in a sentence, from what its JSON holds."""
    reasons = Counter(reason for image in content["images"] for reason in image["missing"].values())
    why = reasons.most_common(1)[0][0] if reasons else "no category is in its part of the data"
    return f"{content['label']} ({content['title']}) shows no map under the {content['protocol']['title']}: {why}."


def _label(axes: Any, r: int, line: Line, above: str | None) -> None:
    middle = r * (SIDE + UNDER) + SIDE / 2
    if line.category != above:
        name = "\n".join(textwrap.wrap(line.category, 11))
        axes.text(-0.1 * SIDE, middle, name, ha="right", va="center", fontsize=7.5, parse_math=False)
    for c, panel in enumerate(line.panels):
        if panel.reason is not None:
            text = "\n".join(textwrap.wrap(panel.reason, 18, max_lines=6, placeholder=" …"))
            place = (c * (SIDE + GAP) + SIDE / 2, middle)
            axes.text(*place, text, ha="center", va="center", fontsize=4.6, color="#555a62", parse_math=False)
        if panel.iou is not None:
            place = (c * (SIDE + GAP) + SIDE / 2, r * (SIDE + UNDER) + SIDE + 3)
            axes.text(*place, f"IoU {panel.iou:.2f}", ha="center", va="top", fontsize=6, parse_math=False)


def _canvas(found: Sequence[Line], rows: int, columns: int) -> np.ndarray:
    """Return all panels on white, uint8 (H,W,3)."""
    down, right = SIDE + UNDER, SIDE + GAP
    canvas = np.full((rows * down, columns * right, 3), 255, np.uint8)
    for r, line in enumerate(found):
        for c, panel in enumerate(line.panels):
            picture = EMPTY if panel.image is None else panel.image
            canvas[r * down : r * down + SIDE, c * right : c * right + SIDE] = picture
    return canvas


def describe(plan: Plan, spec: Mapping[str, Any], found: Sequence[Line]) -> dict[str, Any]:
    """Return the figure's caption and what stands in it: protocol, data, rule, images, what is missing and why."""
    used = plan.stand_in(spec["dataset"])
    instead = f" Other data than the paper's: {plan.datasets[used].title}." if used != spec["dataset"] else ""
    size = plan.protocol.datasets[spec["dataset"]].size
    names = ["input", "ground truth", *spec["methods"]]
    title = plan.protocol.title
    data = f"{title[:1].upper()}{title[1:]}, {size} × {size} pixels.{instead}{caveat(reduced=reduced(plan.protocol))}"
    return {
        **{key: spec[key] for key in ("id", "label", "title")},
        "protocol": {"id": plan.protocol.id, "title": title, "seed": plan.protocol.seeds[0]},
        "dataset": {"id": spec["dataset"], "used": used, "title": plan.datasets[used].title},
        "data": data,
        "caption": f"{spec['label']}{_paper(spec)}. {' '.join(spec['caption'].split())} {data} "
        f"{_how(plan, spec, found)}{_named(found)}",
        "rule": _rule(plan, spec, found),
        "images": [
            {
                "category": line.category,
                "id": line.image_id,
                "chosen_by": line.chosen_by,
                "iou": {n: p.iou for n, p in zip(names, line.panels, strict=True) if p.iou is not None},
                "missing": {n: p.reason for n, p in zip(names, line.panels, strict=True) if p.reason is not None},
            }
            for line in found
        ],
    }


def _paper(spec: Mapping[str, Any]) -> str:
    return "" if spec.get("paper") == "ours" else " of the supplementary"


def _named(found: Sequence[Line]) -> str:
    """Return which images are shown, category by category."""
    shown: dict[str, list[str]] = {}
    for line in found:
        if line.image_id is not None:
            shown.setdefault(line.category, []).append(line.image_id)
    parts = [f"{category}: {', '.join(names)}" for category, names in shown.items()]
    return f" Images, from the top: {'; '.join(parts)}." if parts else ""


def _rule(plan: Plan, spec: Mapping[str, Any], found: Sequence[Line]) -> str:
    if any(line.image_id is not None and line.chosen_by is None for line in found):
        return CARRIED
    return rule(plan.methods[spec["choose_by"]].title, spec["images"])


def _how(plan: Plan, spec: Mapping[str, Any], found: Sequence[Line]) -> str:
    return (
        f"{_rule(plan, spec, found)} Red grows from the median to the 99.5th percentile of a method's maps of the "
        "category; the white line is the threshold behind its IoU."
    )
