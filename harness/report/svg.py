"""Small plots as inline SVG: bars of reproduced numbers with published ones as marks, and curves. Text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from harness.figures.series import Curve

BAR, LABEL, WIDTH, TOP = 13, 74, 190, 18
PLOT_WIDTH, PLOT_HEIGHT, MARGIN = 190, 130, 26


def bars(table: Mapping[str, Any]) -> list[Markup]:
    """Return one plot a method of a table of kind grid: a bar a reproduced number, a mark a published one."""
    values = [v for row in table["rows"] for cell in row["cells"] for v in (cell["mean"], cell["published"]) if v]
    top = max(values, default=1.0)
    return [_method(table["rows"], c, column, top) for c, column in enumerate(table["columns"])]


def _method(rows: Sequence[Mapping[str, Any]], c: int, column: Mapping[str, Any], top: float) -> Markup:
    title = " ".join([column["title"], *(text["text"] for text in column.get("subtitles", []))])
    scale = (WIDTH - LABEL) / top
    parts = [Markup('<text x="{}" y="11" class="t">{}</text>').format(LABEL, title)]
    for r, row in enumerate(rows):
        y, cell = TOP + r * BAR, row["cells"][c]
        name = row["title"] if len(row["title"]) < 14 else row["title"][:12] + "…"
        parts.append(Markup('<text x="{}" y="{}" class="l">{}</text>').format(LABEL - 4, y + 9, name))
        if cell["mean"] is not None:
            box = Markup('<rect x="{}" y="{}" width="{:.1f}" height="{}" class="o"><title>{}</title></rect>')
            text = f"{row['title']}: {cell['mean']:.3f}"
            parts.append(box.format(LABEL, y + 1, max(cell["mean"], 0) * scale, BAR - 3, text))
        if cell["published"] is not None:
            mark = Markup('<path d="M{:.1f} {}v{}" class="p"><title>{}</title></path>')
            x = LABEL + cell["published"] * scale
            parts.append(mark.format(x, y, BAR - 1, f"{row['title']}, published: {cell['published']}"))
    return svg(WIDTH + 4, TOP + len(rows) * BAR + 2, parts, title)


def curves(title: str, found: Sequence[Curve], highest: float) -> Markup:
    """Return a plot of curves over [0, 1], with the paper's points as dots; `highest` ends the vertical axis."""
    x0, y0, width, height = MARGIN, PLOT_HEIGHT - 18, PLOT_WIDTH - MARGIN - 4, PLOT_HEIGHT - 36
    right = max((x for curve in found for x in curve.x), default=1.0) or 1.0
    parts = [Markup('<text x="{}" y="11" class="t">{}</text>').format(x0, title)]
    parts.append(Markup('<path d="M{} {}V{}H{}" class="a"/>').format(x0, y0 - height, y0, x0 + width))
    for value, x in ((0, x0), (right, x0 + width)):
        parts.append(Markup('<text x="{}" y="{}" class="m">{:g}</text>').format(x, y0 + 12, round(value, 3)))
    parts.append(Markup('<text x="{}" y="{}" class="l">{:.2g}</text>').format(x0 - 3, y0 - height + 6, highest))
    for curve in found:
        at = [(x0 + x / right * width, y0 - y / highest * height) for x, y in zip(curve.x, curve.y, strict=True)]
        if curve.published:
            parts += [Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.6" class="d"/>').format(*point) for point in at]
        else:
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
            parts.append(Markup('<polyline points="{}" class="c"/>').format(line))
    return svg(PLOT_WIDTH, PLOT_HEIGHT, parts, title)


def svg(width: int, height: int, parts: Sequence[Markup], label: str) -> Markup:
    """Return one inline picture; `label` is what a screen reader says of it."""
    head = Markup('<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">')
    return head.format(width, height, escape(label)) + Markup("").join(parts) + Markup("</svg>")
