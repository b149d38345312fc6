"""Two closer looks as inline SVG: the gap of every category and method, and paired differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.audit.gaps import Pair
from harness.report.svg import name, svg

SQUARE, NAMES, HEADS = 20, 78, 84
LINE, LEFT, SPAN = 17, 250, 260


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


def forest(lines: Sequence[Mapping[str, Any]]) -> tuple[str, Markup] | None:
    """Return caption and picture of the verdict's paired differences over seeds; None where none has an interval.

    `lines` are those of docs/results/verdict.json; a comparison that several sentences make is shown once.
    """
    every = {(c["left"], c["right"], c["table"]): c["paired"] for line in lines for c in line["comparisons"]}
    shown = {names: paired for names, paired in every.items() if paired["over_seeds"] is not None}
    if not shown:
        return None
    ends = [abs(paired["over_seeds"][end]) for paired in shown.values() for end in ("low", "high")]
    most = max(ends) or 1.0
    at = lambda value: LEFT + (1 + value / most) * SPAN / 2  # noqa: E731 - a scale is a line
    height = 14 + len(shown) * LINE
    parts = [Markup('<path d="M{0:.1f} 4V{1}" class="a"/>').format(at(0), height - 8)]
    for r, ((left, right, _), paired) in enumerate(shown.items()):
        y, seeds = 12 + r * LINE, paired["over_seeds"]
        sure = "up" if seeds["low"] > 0 else "down" if seeds["high"] < 0 else ""
        parts.append(
            Markup('<text x="{}" y="{}" class="l n">{} − {}</text>').format(LEFT - 8, y + 3, name(left), name(right))
        )
        bar = Markup('<path d="M{:.1f} {}H{:.1f}" class="r {}"/>')
        parts.append(bar.format(at(seeds["low"]), y, at(seeds["high"]), sure))
        dot = Markup(
            '<circle cx="{:.1f}" cy="{}" r="3.5" class="s0"><title>{:+.3f} [{:+.3f}, {:+.3f}]</title></circle>'
        )
        parts.append(dot.format(at(seeds["mean"]), y, seeds["mean"], seeds["low"], seeds["high"]))
    for value in (-most, 0.0, most):
        parts.append(Markup('<text x="{:.1f}" y="{}" class="m">{:+.2g}</text>').format(at(value), height + 6, value))
    caption = (
        "Paired differences over seeds with 95 % intervals, left less right: blue above zero, orange below, grey open."
    )
    return caption, svg(LEFT + SPAN + 20, height + 10, parts, caption)
