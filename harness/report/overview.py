"""The first screen's pictures as inline SVG: published against reproduced, each method's gap, the change of ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.audit.agreement import spearman
from harness.audit.gaps import Gap, Pair, all_pairs, gaps, pairs
from harness.audit.samples import Samples
from harness.audit.verdict_page import listed
from harness.report.details import gap_grid
from harness.report.forest import forest
from harness.report.svg import name, svg
from harness.tables.spec import table_ids

SIDE, EDGE, RIGHT = 300, 34, 30
ROW, LABEL, SPAN = 19, 118, 230
SEEDS = 6
"""Half the height of the bar that holds all seeds."""
CHANCE = 0.5
FEWEST = 3
"""With fewer methods there is no change of ranks to show."""


@dataclass(frozen=True)
class Picture:
    """A plot with its heading and what has to be said beside it."""

    id: str
    title: str
    caption: str
    plot: Markup


def pictures(samples: Samples) -> list[Picture]:
    """Return the pictures of the first screen; none where no published number has a reproduced one beside it."""
    every = table_ids()
    found = all_pairs(samples, every)
    if not found:
        return []
    by_table = {table: gaps(samples, table) for table in dict.fromkeys(pair.table for pair in found)}
    table = max(by_table, key=lambda name: _weight(samples, [pair for pair in found if pair.table == name]))
    main, title = by_table[table], samples.table_title(table)
    shown = [_scatter(found), _dumbbell(main, title)]
    return [*shown, _ranks(main, title)] if len(main) >= FEWEST else shown


def _weight(samples: Samples, found: Sequence[Pair]) -> tuple[int, int]:
    """Return what a table's pairs are worth showing: first by how many methods they compare."""
    return samples.methods(found[0].table, {pair.series for pair in found}) if found else 0, len(found)


def closer(samples: Samples, verdict: Mapping[str, Any] | None) -> list[Picture]:
    """Return the pictures of the second look: the gaps category by category, and the paired differences."""
    shown = []
    found = [pairs(samples, table) for table in table_ids()]
    most = max(found, key=lambda mine: _weight(samples, mine), default=[])
    if most:
        caption, plot = gap_grid(most, samples.table_title(most[0].table))
        shown.append(Picture("grid", "The gap of each category and method", caption, plot))
    differences = None if verdict is None else forest(verdict["lines"], samples.table_title)
    return [*shown, Picture("forest", "Paired differences", *differences)] if differences else shown


def _scatter(found: Sequence[Pair]) -> Picture:
    measures = list(dict.fromkeys(pair.measure for pair in found))
    low, reach = EDGE, SIDE - EDGE - 8

    def at(x: float, y: float) -> tuple[float, float]:
        return low + x * reach, 8 + (1 - y) * reach

    parts = [Markup('<path d="M{0} 8V{1}H{2}" class="a"/>').format(low, 8 + reach, low + reach)]
    if any("AuROC" in measure for measure in measures):
        parts.append(Markup('<path d="M{} {}L{} {}" class="h"/>').format(*at(0, CHANCE), *at(1, CHANCE)))
        parts.append(Markup('<text x="{}" y="{}">chance</text>').format(low + reach + 4, at(0, CHANCE)[1] + 3))
    for value in (0, 0.5, 1):
        x, y = at(value, value)
        parts.append(Markup('<text x="{:.0f}" y="{}" class="m">{:g}</text>').format(x, SIDE - EDGE + 14, value))
        parts.append(Markup('<text x="{}" y="{:.0f}" class="l">{:g}</text>').format(low - 4, y + 3, value))
    parts.append(Markup('<text x="{}" y="{}" class="m">published</text>').format(low + reach / 2, SIDE - 4))
    turned = Markup('<text transform="translate(9 {}) rotate(-90)" class="m">reproduced</text>')
    parts.append(turned.format(8 + reach / 2))
    for pair in found:
        x, y = at(pair.published, min(max(pair.reproduced, 0.0), 1.0))
        numbers = f"{pair.measure} {pair.published:g} published, {pair.reproduced:.3f} reproduced"
        text = f"{pair.title}, {pair.position}: {numbers}"
        dot = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3" class="{}"><title>{}</title></circle>')
        parts.append(dot.format(x, y, f"s{measures.index(pair.measure) % 3}", text))
    parts.append(Markup('<path d="M{} {}L{} {}" class="i"/>').format(*at(0, 0), *at(1, 1)))
    above = sum(pair.reproduced > pair.published for pair in found)
    kinds = listed([f"{name} ({('filled', 'hollow', 'grey')[i % 3]})" for i, name in enumerate(measures)])
    caption = f"{len(found)} numbers, {kinds}: {above} above the diagonal, {len(found) - above} on or below it."
    return Picture("scatter", "Published against reproduced", caption, svg(SIDE + RIGHT, SIDE, parts, caption))


def _dumbbell(found: Sequence[Gap], title: str) -> Picture:
    top = max(max(gap.published, gap.reproduced, *gap.seeds) for gap in found) or 1.0

    def at(value: float) -> float:
        return LABEL + max(value, 0.0) / top * (SPAN - 12)

    parts = []
    for r, gap in enumerate(found):
        y = 12 + r * ROW
        text = f"{gap.title}: {gap.published:.2f} published, {gap.reproduced:.2f} reproduced"
        text += f" ({', '.join(f'{value:.2f}' for value in gap.seeds)}), {gap.categories} of {gap.of}"
        parts.append(Markup('<text x="{}" y="{}" class="l n">{}</text>').format(LABEL - 8, y + 4, name(gap.title)))
        parts.append(Markup('<path d="M{:.1f} {}H{:.1f}" class="g"/>').format(at(gap.published), y, at(gap.reproduced)))
        if gap.yardstick is not None:
            parts.append(Markup('<path d="M{:.1f} {}v10" class="y"/>').format(at(gap.yardstick), y - 5))
        if len(gap.seeds) > 1:
            ends = at(min(gap.seeds)), y - SEEDS, at(max(gap.seeds)), y + SEEDS
            parts.append(Markup('<path d="M{0:.1f} {1}H{2:.1f}V{3}H{0:.1f}z" class="w"/>').format(*ends))
        parts.append(Markup('<circle cx="{:.1f}" cy="{}" r="4" class="d"/>').format(at(gap.published), y))
        dot = Markup('<circle cx="{:.1f}" cy="{}" r="4.5" class="s0"><title>{}</title></circle>')
        parts.append(dot.format(at(gap.reproduced), y, text))
    foot = 12 + len(found) * ROW
    parts.append(Markup('<path d="M{} {}H{}" class="a"/>').format(LABEL, foot - 6, LABEL + SPAN - 12))
    for value in (0.0, top):
        mark = Markup('<text x="{:.1f}" y="{}" class="m">{:.2g}</text>')
        parts.append(mark.format(at(value), foot + 8, value))
    few = min(gap.categories for gap in found), max(gap.of for gap in found)
    caption = f"{title}: mean over the categories that have both, at least {few[0]} of {few[1]}. Blue: reproduced; "
    caption += "the other dot: published; orange mark: what marking every pixel (AuROC: a coin) gives."
    counts = {len(gap.seeds) for gap in found if len(gap.seeds) > 1}
    if counts:
        caption += f" Pale bar: from the lowest to the highest of {' or '.join(map(str, sorted(counts)))} seeds."
    return Picture("gaps", "The gap of each method", caption, svg(LABEL + SPAN, foot + 14, parts, caption))


def _ranks(found: Sequence[Gap], title: str) -> Picture:
    orders = [sorted(found, key=lambda gap: -getattr(gap, side)) for side in ("published", "reproduced")]
    left, right, height = 122, 232, 20 + len(found) * ROW
    parts = [
        Markup('<text x="{}" y="9" class="l t">published</text>').format(left - 6),
        Markup('<text x="{}" y="9" class="t">reproduced</text>').format(right + 6),
    ]
    for rank, gap in enumerate(orders[0]):
        other = orders[1].index(gap)
        y0, y1 = (22 + place * ROW for place in (rank, other))
        moved = "up" if other < rank else "down" if other > rank else "same"
        parts.append(Markup('<path d="M{} {}L{} {}" class="r {}"/>').format(left, y0, right, y1, moved))
        parts.append(
            Markup('<text x="{}" y="{}" class="l n">{} {}</text>').format(left - 6, y0 + 4, name(gap.title), rank + 1)
        )
        mark = "†" if gap.oracle else ""
        text = Markup('<text x="{}" y="{}" class="n">{} {}{}</text>')
        parts.append(text.format(right + 6, y1 + 4, other + 1, name(gap.title), mark))
    rho = spearman([gap.published for gap in found], [gap.reproduced for gap in found])
    agree = "" if rho is None else f" Rank correlation {rho:+.2f}: 1 is the same order, 0 none, −1 the reverse."
    oracle = " †: at the best threshold on the test images." if any(gap.oracle for gap in found) else ""
    caption = f"{title}: {len(found)} methods in the order of their means.{agree}{oracle}".replace("+-", "−").replace(
        " -", " −"
    )
    return Picture("ranks", "The change of ranks", caption, svg(left + right, height + 6, parts, caption))
