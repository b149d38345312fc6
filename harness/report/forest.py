"""The verdict's paired differences as a forest plot in inline SVG: an interval over seeds, one over test images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from harness.report.svg import name, svg
from harness.tables.view import number

HEAD, ROW, FOOT = 22, 31, 16
BAND, TICK = 9, 14
"""Heights of the interval over images, and of the mark of zero."""
EDGE, SPAN, NUMBERS = 14, 250, 190
"""Left of the axis, its length, and right of it where the numbers stand."""
DECIMALS = 3
Rows = dict[tuple[str, str], Mapping[str, Any]]


def forest(lines: Sequence[Mapping[str, Any]], title: Callable[[str], str]) -> tuple[str, Markup] | None:
    """Return caption and picture of paired differences, table by table; None where none has an interval over seeds.

    Args:
        lines: those of docs/results/verdict.json; a comparison that several sentences make is shown once.
        title: a table's number and title by its id.
    """
    every: dict[str, Rows] = {}
    for comparison in (comparison for line in lines for comparison in line["comparisons"]):
        names = comparison["left"], comparison["right"]
        every.setdefault(comparison["table"], {})[names] = {**comparison["paired"], "of": comparison["of"]}
    shown = {table: {n: p for n, p in rows.items() if p["over_seeds"] is not None} for table, rows in every.items()}
    shown = {table: rows for table, rows in shown.items() if rows}
    if not shown:
        return None
    left_out = sum(map(len, every.values())) - sum(map(len, shown.values()))
    caption = (
        "Left less right, on the categories and seeds that both have. Dot, line and numbers: the mean over seeds with "
        "its 95 % interval, and how many categories and seeds; pale band: the interval over test images. Blue above "
        "zero, orange below, where both leave out zero; grey elsewhere."
    )
    if left_out:
        caption += f" Left out, for one seed has no interval: {left_out} comparison{'s' if left_out > 1 else ''}."
    return caption, _plot(shown, title, caption)


def _plot(shown: Mapping[str, Rows], title: Callable[[str], str], caption: str) -> Markup:
    end = _reach([paired for rows in shown.values() for paired in rows.values()])

    def at(value: float) -> float:
        return EDGE + (1 + value / end) * SPAN / 2

    parts, y = [], 0
    for table, rows in shown.items():
        parts.append(Markup('<text x="0" y="{}" class="t">{}</text>').format(y + 11, name(title(table))))
        y += HEAD
        for names, paired in rows.items():
            parts += _row(names, paired, y, at)
            y += ROW
    for value in (-end, 0.0, end):
        parts.append(Markup('<path d="M{0:.1f} {1}v4" class="a"/>').format(at(value), y))
        text = number(value, 0 if value == 0 else _places(end))
        parts.append(Markup('<text x="{:.1f}" y="{}" class="m">{}</text>').format(at(value), y + 13, text))
    parts.append(Markup('<path d="M{:.1f} {}H{:.1f}" class="a"/>').format(at(-end), y, at(end)))
    return svg(EDGE + SPAN + NUMBERS, y + FOOT, parts, caption)


def _row(names: tuple[str, str], paired: Mapping[str, Any], y: int, at: Callable[[float], float]) -> list[Markup]:
    """Return a comparison: its names above, its intervals and numbers below them."""
    seeds, images = paired["over_seeds"], paired["over_images"]
    kind = {1: "up", -1: "down"}.get(_sign(seeds) if _sign(seeds) == _sign(images) else 0, "")
    left = Markup('<text x="{}" y="{}" class="n">{} − {}</text>')
    low = y + 21
    parts = [left.format(EDGE, y + 10, name(names[0]), name(names[1]))]
    parts.append(Markup('<path d="M{:.1f} {}v{}" class="a"/>').format(at(0), low - TICK / 2, TICK))
    if images is not None:
        band = Markup('<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" fill-opacity="0.25" class="{}"/>')
        wide = max(at(images["high"]) - at(images["low"]), 1.0)
        parts.append(band.format(at(images["low"]), low - BAND / 2, wide, BAND, kind or "unsure"))
    bar = Markup('<path d="M{:.1f} {}H{:.1f}" class="r {}"/>')
    parts.append(bar.format(at(seeds["low"]), low, at(seeds["high"]), kind))
    dot = Markup('<circle cx="{:.1f}" cy="{}" r="3.5" class="r dot {}"/>')
    parts.append(dot.format(at(seeds["mean"]), low, kind))
    mean, *ends = (number(seeds[key], DECIMALS) for key in ("mean", "low", "high"))
    of = f"{len(paired['categories'])} of {paired['of']}, {paired['seeds']} seeds"
    text = Markup('<text x="{}" y="{}">{} [{}, {}]; {}</text>')
    return [*parts, text.format(EDGE + SPAN + 8, low + 3, mean, *ends, of)]


def _sign(estimate: Mapping[str, Any] | None) -> int:
    return 0 if estimate is None else (estimate["low"] > 0) - (estimate["high"] < 0)


def _reach(shown: Sequence[Mapping[str, Any]]) -> float:
    """Return where the axis ends: the largest end of an interval, up to the next number of one digit."""
    estimates = [paired[over] for paired in shown for over in ("over_seeds", "over_images")]
    most = max(abs(estimate[end]) for estimate in estimates if estimate is not None for end in ("low", "high"))
    if most == 0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(most))
    return math.ceil(most / unit - 1e-9) * unit


def _places(value: float) -> int:
    return max(0, -math.floor(math.log10(value)))
