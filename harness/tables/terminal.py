"""A table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from harness.tables.budget import CAVEAT
from harness.tables.table import AnyTable, Head, LayerTable, Table, TableCell
from harness.tables.view import (
    READS,
    View,
    fitting,
    full_title,
    group_text,
    lines,
    own_first,
    panels,
    shade,
    summary,
)

COLOURS = {"stale": "yellow", "failed": "red"}
COLOURS |= dict.fromkeys(("not_measured", "unavailable", "incomplete", "not_applicable"), "dim")
BEST = 3
SHORTEST = 6
"""Columns narrower than this are not worth a line break in their heading."""


def show(table: AnyTable, console: Console | None = None, *, view: View = "both", measured: bool = False) -> None:
    """Print a table: one line of summary, the numbers with the paper's own methods first, reasons at the end.

    Args:
        table: of numbers or of layers.
        console: where to.
        view: which numbers.
        measured: leave out rows and columns without a reproduced number.
    """
    console = console or Console()
    if isinstance(table, LayerTable):
        console.print(Text(full_title(table.label, table.paper, table.title), style="bold"))
        console.print(_layers(table))
    elif isinstance(table, Table):
        _numbers(table, console, fitting(table, view), measured)
    for note in (table.caption, *table.notes, *([CAVEAT] if table.protocol.reduced else [])):
        console.print(Text(note, style="dim"))


def _numbers(table: Table, console: Console, view: View, measured: bool) -> None:
    console.print(Text(summary(table), style="bold"))
    for panel in panels(own_first(table)):
        shown = _with_numbers(panel) if measured else panel
        for grid in _grids(shown, console.width, view):
            console.print(grid)
    console.print(Text(READS[view], style="dim"))
    for note in table.footnotes:
        console.print(Text(f"{note.mark} {note.text}", style="dim"))
    for line in table.missing:
        where = "; ".join(group_text(group, table.protocol.seeds) for group in line.groups)
        state = line.state.replace("_", " ")
        console.print(Text(f"{state} ({line.count}): {line.reason} – {where}", style=COLOURS[line.state]))


def _with_numbers(table: Table) -> Table:
    """Return the table without the rows and columns in which nothing was reproduced."""
    rows = [r for r, cells in enumerate(table.cells) if any(cell.any_value is not None for cell in cells)]
    columns = [c for c in range(len(table.columns)) if any(row[c].any_value is not None for row in table.cells)]
    return replace(
        table,
        rows=tuple(table.rows[r] for r in rows),
        columns=tuple(table.columns[c] for c in columns),
        cells=tuple(tuple(table.cells[r][c] for c in columns) for r in rows),
    )


def _grids(table: Table, width: int, view: View) -> Iterator[Grid]:
    """Yield the table in as many parts as its columns need lines of the terminal."""
    names = [", ".join(_words(row)) for row in table.rows]
    columns = [_column(table, c, view) for c in range(len(table.columns))]
    room = max(width - max(map(len, [*names, table.corner])) - 2, 1)
    for part in _parts([max(map(_width, column)) for column in columns], room):
        grid = Grid(pad_edge=False, padding=(0, 1, 0, 0), box=None, header_style="bold")
        grid.add_column(Text(table.corner))
        for c in part:
            grid.add_column(columns[c][0], justify="center")
        for r, name in enumerate(names):
            grid.add_row(Text(name), *(columns[c][r + 1] for c in part))
        yield grid


def _words(head: Head) -> list[str]:
    texts = [head.group, head.title.text, *(text.text for text in head.subtitles), ",".join(head.footnotes)]
    return [text for text in texts if text]


def _column(table: Table, c: int, view: View) -> list[Text]:
    head = table.columns[c]
    heading = "\n".join(_broken(" ".join(_words(head))))
    return [Text(heading), *(_cell(row[c], view) for row in table.cells)]


def _broken(heading: str) -> Iterator[str]:
    """Yield a heading line by line, broken at blanks, and behind a hyphen that has enough on both sides."""
    for name in heading.split(" "):
        first, hyphen, rest = name.partition("-")
        if hyphen and len(name) > SHORTEST + 2:
            yield from (first + hyphen, rest)
        else:
            yield name


def _width(text: Text) -> int:
    return max((len(line) for line in text.plain.split("\n")), default=0)


def _parts(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    part: list[int] = []
    for c, width in enumerate(widths):
        if part and sum(widths[i] + 1 for i in part) + width + 1 > room:
            yield part
            part = []
        part.append(c)
    if part:
        yield part


def _cell(cell: TableCell, view: View) -> Text:
    first, *below = lines(cell, view)
    best = shade(cell, view) == BEST
    style = "bold" if best else "dim" if cell.below else COLOURS.get(cell.state, "")
    return Text.assemble((first, style), *((f"\n{line}", "dim") for line in below))


def _layers(table: LayerTable) -> Grid:
    grid = Grid("network", "layer", "published", "output", "reproduced", "output", "", pad_edge=False)
    for row in table.layers:
        sides = [
            getattr(side, name, "–") for side in (row.published, row.reproduced) for name in ("dimensions", "output")
        ]
        texts = [row.network, row.layer, *sides, row.word]
        grid.add_row(*map(Text, texts), style="yellow" if row.word == "differs" else "")
    return grid
