"""A closer look as inline SVG: the gap of every category and method."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from harness.audit.gaps import Pair
from harness.report.svg import name, svg

SQUARE, NAMES, HEADS = 20, 78, 84


def gap_grid(found: Sequence[Pair], table: str) -> tuple[str, Markup]:
    """Return caption and picture: a square a category and method, blue above the published number, orange below."""
    columns = list(dict.fromkeys(pair.title for pair in found))
    rows = list(dict.fromkeys(pair.position for pair in found))
    most = max(abs(pair.reproduced - pair.published) for pair in found) or 1.0
    turned = Markup('<text transform="translate({} {}) rotate(-60)" class="n">{}</text>')
    parts = [turned.format(NAMES + c * SQUARE + 12, HEADS - 4, name(title)) for c, title in enumerate(columns)]
    for r, category in enumerate(rows):
        y = HEADS + r * SQUARE + 13
        parts.append(
            Markup('<text x="{}" y="{}" class="l n">{}</text>').format(NAMES - 5, y, category.replace("_", " "))
        )
    for pair in found:
        gap = pair.reproduced - pair.published
        x, y = NAMES + columns.index(pair.title) * SQUARE, HEADS + rows.index(pair.position) * SQUARE
        text = f"{pair.title}, {pair.position}: {pair.published:g} published, {pair.reproduced:.3f} reproduced"
        square = Markup(
            '<rect x="{}" y="{}" width="{}" height="{}" class="{}" fill-opacity="{:.2f}"><title>{}</title></rect>'
        )
        kind = "up" if gap > 0 else "down"
        parts.append(square.format(x, y, SQUARE - 2, SQUARE - 2, kind, 0.08 + 0.92 * abs(gap) / most, text))
    caption = f"{table}: blue above the published number, orange below, full at ±{most:.2f}; no square: no number."
    width, height = NAMES + len(columns) * SQUARE + 50, HEADS + len(rows) * SQUARE + 2
    return caption, svg(width, height, parts, caption)
