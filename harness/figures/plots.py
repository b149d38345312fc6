"""Plots of what tables hold: reproduced beside published numbers, IoU against the threshold, training curves."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.errors import UserError
from harness.figures.draw import CHARACTERS, FOOT, FOOT_SIZE, STYLE, sentence
from harness.figures.extra import EXTRA_PLOTS
from harness.figures.series import Curve, loss_curves, threshold_curves
from harness.tables.budget import caveat
from harness.tables.built import read_tables
from harness.tables.prose import pieces
from harness.tables.render import read_numbers
from harness.tables.table import AnyTable, Head, Table, TableCell
from harness.tables.view import full_title, own_first

SMALL: Mapping[str, tuple[str, str, Callable[..., Mapping[str, Sequence[Curve]]], str]] = {
    "plot_thresholds": ("threshold", "IoU", threshold_curves, "no curve was measured"),
    "plot_training": ("step", "loss", loss_curves, "no record carries its losses"),
}
"""Of the plots that are not of one table: the two axes, where the curves come from, what an empty one says."""
REPRODUCED, PUBLISHED, SOFT = "#28559a", "#111111", "#9aa3af"
COLUMNS = 5


def plot(name: str, folder: Path) -> Figure:
    """Return a plot by its name, from the tables in `folder`. Raises UserError for an unknown one."""
    if name in SMALL:
        title, key = EXTRA_PLOTS[name]
        x, y, curves, empty = SMALL[name]
        tables = read_tables(folder)
        shown = {table: content for table, content in tables.items() if curves({table: content})}
        return _headed(_small_multiples(curves(tables), x, y, empty), title, f"{_about(shown or tables)} {key}")
    source = folder / f"{name.removeprefix('plot_')}.json"
    if not name.startswith("plot_"):
        raise UserError(f"unknown plot '{name}'; known: plot_thresholds, plot_training, plot_<table>")
    return bars(read_numbers(source))


def bars(table: Table) -> Figure:
    """Return one panel a method: published and reproduced numbers joined by a line."""
    title = full_title(table.label, table.paper, table.title)
    table = own_first(table)
    methods = [i for i, head in enumerate(table.series) if head.role == "method"]
    series = [i for i in methods if any(cell.any_value is not None for cell in table.of(i))]
    out = [table.series[i].name for i in methods if i not in series]
    if not series:
        return sentence(f"{title}: no number is reproduced under the {table.protocol.title}.")
    names = [head.title.text for head in table.positions]
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(len(series), 1.75, 0.5 + 0.15 * len(names), share=True)
        shown = [cell for i in series for cell in table.of(i)]
        reach = [value or 0 for cell in shown for value in (cell.any_value, cell.published, *cell.values)]
        for i, axis in zip(series, axes, strict=True):
            _dumbbells(axis, table.of(i), names)
            axis.set_xlim(0, 1.04 * max(reach, default=0) or 1)
            axis.set_title(_title(table.series[i]), fontsize=7.5)
    left = f" Left out, for no number is reproduced: {', '.join(out)}." if out else ""
    return _headed(figure, title, f"{_about({table.id: table})} {_key(table, shown)}{left}")


def _headed(figure: Figure, title: str, key: str) -> Figure:
    """Return the figure laid out, with a title above and below it what the picture must not travel without."""
    width, height = figure.get_size_inches()
    below = textwrap.wrap(key, round(width * CHARACTERS))
    height += FOOT * len(below)
    figure.set_size_inches(width, height)
    with matplotlib.rc_context(STYLE):
        figure.text(0.1 / width, 1 - 0.08 / height, title, fontsize=9, va="top", parse_math=False)
        text: dict[str, Any] = {"fontsize": FOOT_SIZE, "color": "#555a62", "va": "bottom", "parse_math": False}
        figure.text(0.1 / width, 0.05 / height, "\n".join(below), **text)
        bottom = FOOT * (len(below) + 0.6) / height
        figure.tight_layout(rect=(0, bottom, 1, 1 - 0.24 / height), h_pad=0.8, w_pad=0.6)
    return figure


def _about(tables: Mapping[str, AnyTable]) -> str:
    """Return the protocol and the stand-ins of some tables, and what a small budget does not say."""
    title = next((table.protocol.title for table in tables.values()), "")
    used = (dataset for table in tables.values() if isinstance(table, Table) for dataset in table.datasets)
    stand_ins = dict.fromkeys(dataset.stand_in for dataset in used if dataset.stand_in)
    instead = f" Other data than the paper's: {'; '.join(stand_ins)}." if stand_ins else ""
    small = any(table.protocol.reduced for table in tables.values())
    return f"{title[:1].upper()}{title[1:]}.{instead}{caveat(reduced=small)}"


def _key(table: Table, shown: Sequence[TableCell]) -> str:
    seeds = sorted({cell.n_seeds for cell in shown if len(cell.values) > 1})
    bars = f" Bar: from the lowest to the highest of {' or '.join(map(str, seeds))} seeds." if seeds else ""
    stale = " (pale: stale)" if any(cell.stale is not None for cell in shown) else ""
    marks = "" if table.foreign else " Black: published."
    return f"Blue: reproduced{stale}.{bars}{marks} No blue dot: no number (see the table)."


def _dumbbells(axis: Any, cells: Sequence[TableCell], names: Sequence[str]) -> None:
    for y, cell in enumerate(cells):
        value = cell.any_value
        if value is not None and cell.published is not None:
            axis.plot([cell.published, value], [y, y], color=SOFT, linewidth=1.2, clip_on=False, zorder=1)
        if cell.published is not None:
            axis.plot(cell.published, y, "o", color=PUBLISHED, markersize=2.8, clip_on=False, zorder=3)
        if cell.reproduced is not None and len(cell.values) > 1:
            ends = [min(cell.values), max(cell.values)]
            axis.plot(ends, [y, y], color=REPRODUCED, linewidth=5, alpha=0.3, solid_capstyle="butt", clip_on=False)
        if value is not None:
            colour = SOFT if cell.reproduced is None else REPRODUCED
            axis.plot(value, y, "o", color=colour, markersize=3.8, clip_on=False, zorder=2)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    axis.set_yticks(range(len(names)), names, fontsize=5.5, parse_math=False)
    axis.grid(axis="y", linewidth=0.3, color="#e3e5e9")
    _plain(axis)


def _small_multiples(panels: Mapping[str, Sequence[Curve]], x: str, y: str, empty: str) -> Figure:
    """Return one panel a key: reproduced curves as lines, published points as black dots.

    Panels against the threshold share both axes; those of training have the scale of their own loss, and a mark where
    the budget ended.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(max(len(panels), 1), 1.75, 1.5, share=y == "IoU")
        if not panels:
            axes[0].text(0.5, 0.5, empty, ha="center", va="center", fontsize=7, transform=axes[0].transAxes)
        points = [curve for curves in panels.values() for curve in curves]
        for (title, curves), axis in zip(panels.items(), axes, strict=False):
            for curve in curves:
                style = {"marker": "o", "linestyle": "", "markersize": 3} if curve.published else {"linewidth": 1.1}
                axis.plot(curve.x, curve.y, color=PUBLISHED if curve.published else REPRODUCED, clip_on=False, **style)
            axis.set_title(_lowered(title), fontsize=6, pad=4 if y == "IoU" else 9)
            axis.set_xlabel(x, fontsize=5.5)
            axis.set_ylabel(y, fontsize=5.5)
            if y == "IoU":
                axis.set_xlim(0, max(value for curve in points for value in curve.x))
                axis.set_ylim(0, 1.05 * max(value for curve in points for value in curve.y))
            else:
                _budget(axis, max(curve.x[-1] for curve in curves))
            _plain(axis)
    return figure


def _budget(axis: Any, last: float) -> None:
    """Mark the last step of a panel: training ended there because its budget did, whatever the loss."""
    axis.axvline(last, color=SOFT, linewidth=0.8, linestyle=":")
    axis.annotate("budget", (last, 1), xycoords=("data", "axes fraction"), ha="right", va="bottom", fontsize=4.6)
    axis.set_xlim(0, 1.03 * last)
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _grid(count: int, width: float, height: float, share: bool) -> tuple[Figure, list[Any]]:
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = Figure(figsize=(0.6 + columns * width, 0.5 + rows * height))
    axes = list(figure.subplots(rows, columns, squeeze=False, sharey=share).flat)
    for axis in axes[count:]:
        axis.remove()
    return figure, axes[:count]


def _plain(axis: Any) -> None:
    axis.tick_params(labelsize=5.5, length=2, width=0.5)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_linewidth(0.5)


def _title(head: Head) -> str:
    """Return a heading as matplotlib's mathematics reads it; plain text has its dollars escaped."""
    texts = [head.title, *head.subtitles]
    return " ".join(text.latex or text.text.replace("$", r"\$") for text in texts if text.text)


def _lowered(text: str) -> str:
    """Return a name as matplotlib's mathematics reads it, with subscripts."""
    escaped = [(piece.replace("$", r"\$"), is_low) for piece, is_low in pieces(text)]
    return "".join(rf"$_{{\mathrm{{{piece}}}}}$" if is_low else piece for piece, is_low in escaped)
