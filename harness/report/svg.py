"""Small plots as inline SVG: bars of reproduced numbers with published ones as marks, and curves. Text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from harness.figures.series import Curve
from harness.tables.table import Table

BAR, LABEL, WIDTH, TOP = 13, 74, 190, 18
PLOT_WIDTH, PLOT_HEIGHT, MARGIN = 190, 130, 26


def bars(table: Table) -> list[Markup]:
    """Return one plot a method: a bar a reproduced number, a mark a published one."""
    values = [v for _, _, cell in table.by_series() for v in (cell.reproduced, cell.published) if v]
    methods = [i for i, head in enumerate(table.series) if head.role == "method"]
    return [_method(table, i, max(values, default=1.0)) for i in methods]


def _method(table: Table, series: int, top: float) -> Markup:
    title = table.series[series].name
    scale = (WIDTH - LABEL) / top
    parts = [Markup('<text x="{}" y="11" class="t">{}</text>').format(LABEL, title)]
    for r, (head, cell) in enumerate(zip(table.positions, table.of(series), strict=True)):
        y, full = TOP + r * BAR, head.title.text
        name = full if len(full) < 14 else full[:12] + "…"
        parts.append(Markup('<text x="{}" y="{}" class="l">{}</text>').format(LABEL - 4, y + 9, name))
        if cell.reproduced is not None:
            box = Markup('<rect x="{}" y="{}" width="{:.1f}" height="{}" class="o"><title>{}</title></rect>')
            text = f"{full}: {cell.reproduced:.3f}"
            parts.append(box.format(LABEL, y + 1, max(cell.reproduced, 0) * scale, BAR - 3, text))
        if cell.published is not None:
            mark = Markup('<path d="M{:.1f} {}v{}" class="p"><title>{}</title></path>')
            x = LABEL + cell.published * scale
            parts.append(mark.format(x, y, BAR - 1, f"{full}, published: {cell.published}"))
    return svg(WIDTH + 4, TOP + len(table.positions) * BAR + 2, parts, title)


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
