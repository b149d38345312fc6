"""Small plots as inline SVG: bars of reproduced numbers with published ones as marks, and curves. Text is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from harness.figures.series import Curve
from harness.tables.prose import pieces
from harness.tables.table import Table

BAR, LABEL, WIDTH, TOP = 13, 74, 190, 18
PLOT_WIDTH, PLOT_HEIGHT, MARGIN = 190, 130, 26
POINTS = 60
"""A curve in a small plot is thinned to about as many points."""


def bars(table: Table) -> list[Markup]:
    """Return one plot a method that has a reproduced number: a bar a reproduced number, a mark a published one."""
    values = [v for _, _, cell in table.by_series() for v in (cell.reproduced, cell.published) if v]
    measured = (any(cell.reproduced is not None for cell in table.of(i)) for i in range(len(table.series)))
    shown = [i for i, known in enumerate(measured) if known and table.series[i].role == "method"]
    return [_method(table, i, max(values, default=1.0)) for i in shown]


def _method(table: Table, series: int, top: float) -> Markup:
    """Return one plot; all bars are one path, all marks another: the table has the numbers."""
    title = table.series[series].name

    def at(value: float) -> int:
        return round(LABEL + max(value, 0) / top * (WIDTH - LABEL))

    parts = [Markup('<text x="{}" y="11" class="t">{}</text>').format(LABEL, name(title))]
    boxes, marks = [], []
    for r, (head, cell) in enumerate(zip(table.positions, table.of(series), strict=True)):
        y, full = TOP + r * BAR, head.title.text
        short = full if len(full) < 14 else full[:12] + "…"
        parts.append(Markup('<text x="{}" y="{}" class="l">{}</text>').format(LABEL - 4, y + 9, short))
        if cell.reproduced is not None:
            boxes.append(f"M{LABEL} {y + 1}H{at(cell.reproduced)}v{BAR - 3}H{LABEL}z")
        if cell.published is not None:
            marks.append(f"M{at(cell.published)} {y}v{BAR - 1}")
    drawn = (("o", boxes), ("p", marks))
    parts += [Markup('<path d="{}" class="{}"/>').format("".join(paths), kind) for kind, paths in drawn if paths]
    return svg(WIDTH + 4, TOP + len(table.positions) * BAR + 2, parts, title)


def curves(title: str, found: Sequence[Curve], highest: float, right: float) -> Markup:
    """Return a plot of curves over [0, right], with the paper's points as dots; `highest` ends the vertical axis.

    The first method's lines are whole, another's dashed.
    """
    x0, y0, width, height = MARGIN, PLOT_HEIGHT - 18, PLOT_WIDTH - MARGIN - 4, PLOT_HEIGHT - 36
    parts = [Markup('<text x="{}" y="11" class="t">{}</text>').format(x0, title)]
    parts.append(Markup('<path d="M{} {}V{}H{}" class="a"/>').format(x0, y0 - height, y0, x0 + width))
    for value, x in ((0, x0), (right, x0 + width)):
        parts.append(Markup('<text x="{}" y="{}" class="m">{:g}</text>').format(x, y0 + 12, round(value, 3)))
    parts.append(Markup('<text x="{}" y="{}" class="l">{:.2g}</text>').format(x0 - 3, y0 - height + 6, highest))
    names = list(dict.fromkeys(curve.name for curve in found if not curve.published))
    for curve in found:
        at = [(x0 + x / right * width, y0 - y / highest * height) for x, y in zip(curve.x, curve.y, strict=True)]
        if curve.published:
            parts += [Markup('<circle cx="{:.1f}" cy="{:.1f}" r="2.6" class="d"/>').format(*point) for point in at]
        else:
            line = " ".join(f"{x:.0f},{y:.1f}" for x, y in at[:: -(-len(at) // POINTS)])
            kind = "c" if curve.name == names[0] else "c other"
            parts.append(Markup('<polyline points="{}" class="{}"/>').format(line, kind))
    return svg(PLOT_WIDTH, PLOT_HEIGHT, parts, title)


def name(text: str) -> Markup:
    """Return a name with its subscript set low, as the tables do: SVG has no sub."""
    made = Markup("")
    for piece, is_low in pieces(text):
        lowered = Markup('<tspan dy="2.5" class="low">{}</tspan><tspan dy="-2.5">&#8203;</tspan>').format(piece)
        made += lowered if is_low else escape(piece)
    return made


def svg(width: int, height: int, parts: Sequence[Markup], label: str) -> Markup:
    """Return one inline picture; `label` is what a screen reader says of it."""
    head = Markup('<svg viewBox="0 0 {0} {1}" width="{0}" height="{1}" role="img" aria-label="{2}">')
    return head.format(width, height, escape(label)) + Markup("").join(parts) + Markup("</svg>")
