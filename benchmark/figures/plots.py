"""Plots of what tables hold: ours beside printed numbers, IoU against the threshold, training curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmark.audit.audit import read_tables
from benchmark.errors import UserError
from benchmark.figures.draw import STYLE
from benchmark.figures.series import Curve, loss_curves, threshold_curves
from benchmark.tables.render import read_table

OURS, PRINTED, SOFT = "#28559a", "#111111", "#9aa3af"
COLUMNS = 5


def plot(name: str, folder: Path) -> Figure:
    """Return a plot by its name, from the tables in `folder`. Raises UserError for an unknown one."""
    if name == "plot_thresholds":
        return _small_multiples(threshold_curves(read_tables(folder)), "threshold", "IoU", "no curve was measured")
    if name == "plot_training":
        return _small_multiples(loss_curves(read_tables(folder)), "step", "loss", "no training log is here")
    source = folder / f"{name.removeprefix('plot_')}.json"
    if not name.startswith("plot_"):
        raise UserError(f"unknown plot '{name}'; known: plot_thresholds, plot_training, plot_<table>")
    return bars(read_table(source))


def bars(table: Mapping[str, Any]) -> Figure:
    """Return one panel a method: our numbers as bars, the paper's as black marks. Only for tables of kind grid."""
    if table["kind"] != "grid":
        raise UserError(f"{table['id']}: only tables with categories down and methods across are plotted as bars")
    columns = table["columns"]
    names = [row["title"] for row in table["rows"]]
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(len(columns), 1.75, 0.5 + 0.15 * len(names), share=True)
        reach = [cell[key] or 0 for row in table["rows"] for cell in row["cells"] for key in ("mean", "published")]
        for c, (column, axis) in enumerate(zip(columns, axes, strict=True)):
            _bars(axis, [row["cells"][c] for row in table["rows"]], names)
            axis.set_xlim(0, 1.04 * max(reach, default=0) or 1)
            axis.set_title(_title(column), fontsize=7.5)
        figure.suptitle(f"{table['label']}: {table['title']}", x=0.01, ha="left", fontsize=9, parse_math=False)
        figure.text(0.01, 0.005, _key(table), fontsize=6, color="#555a62", va="bottom", parse_math=False)
        figure.tight_layout(rect=(0, 0.14 / figure.get_size_inches()[1], 1, 1), h_pad=0.8, w_pad=0.6)
    return figure


def _key(table: Mapping[str, Any]) -> str:
    stand_in = any(dataset["stand_in"] for dataset in table["datasets"])
    foreign = "the paper's numbers belong to other data and are not drawn"
    marks = foreign if stand_in else "black mark: printed"
    return f"{table['protocol']['title']}. Bar: ours (pale: stale); {marks}; no bar: no number (see the table)."


def _bars(axis: Any, cells: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    for y, cell in enumerate(cells):
        value = cell["mean"] if cell["mean"] is not None else cell["stale_mean"]
        if value is not None:
            axis.barh(y, value, height=0.72, color=OURS if cell["mean"] is not None else SOFT)
        if cell["published"] is not None:
            axis.plot([cell["published"]] * 2, [y - 0.42, y + 0.42], color=PRINTED, linewidth=1.4)
    axis.set_ylim(len(cells) - 0.4, -0.6)
    axis.set_yticks(range(len(names)), names, fontsize=5.5, parse_math=False)
    _plain(axis)


def _small_multiples(panels: Mapping[str, Sequence[Curve]], x: str, y: str, empty: str) -> Figure:
    """Return one panel a key: our curves as lines, the paper's points as black dots."""
    with matplotlib.rc_context(STYLE):
        figure, axes = _grid(max(len(panels), 1), 1.75, 1.5, share=False)
        if not panels:
            axes[0].text(0.5, 0.5, empty, ha="center", va="center", fontsize=7, transform=axes[0].transAxes)
        for (title, curves), axis in zip(panels.items(), axes, strict=False):
            for curve in curves:
                style = {"marker": "o", "linestyle": "", "markersize": 3} if curve.printed else {"linewidth": 1.1}
                axis.plot(curve.x, curve.y, color=PRINTED if curve.printed else OURS, **style)
            axis.set_title(title, fontsize=6.5, parse_math=False)
            axis.set_xlabel(x, fontsize=5.5)
            axis.set_ylabel(y, fontsize=5.5)
            axis.set_ylim(bottom=0)
            _plain(axis)
        figure.tight_layout(h_pad=0.8, w_pad=0.6)
    return figure


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


def _title(column: Mapping[str, Any]) -> str:
    """Return a column's heading as matplotlib's mathematics reads it; plain text has its dollars escaped."""
    texts = [{"text": column["title"], "latex": column["latex"]}, *column.get("subtitles", [])]
    return " ".join(text["latex"] or text["text"].replace("$", r"\$") for text in texts if text["text"])
