"""A table in the terminal: what it says first, then its numbers, then what is missing."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from harness.tables.budget import CAVEAT
from harness.tables.headline import headlines, title_line
from harness.tables.notes import ORACLE
from harness.tables.table import AnyTable, LayerTable, Missing, Table
from harness.tables.terminal_grid import COLOURS, grid, raised
from harness.tables.view import READS, View, fitting, full_title, group_text, own_first, panels

PLACES = 200
"""Letters after which the list of what was never asked for ends; the page has it all."""


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
    console.print(Text(title_line(table), style="bold"))
    for sentence in headlines(table):
        console.print(Text(sentence))
    marks: set[str] = set()
    for panel in panels(own_first(table)):
        # Yardsticks are shown where they have a number: beside nothing they say nothing.
        beside = all(head.role == "yardstick" for head in panel.series)
        shown = _with_numbers(panel) if measured or beside else panel
        if shown.rows and shown.columns:
            marks |= _marks(shown)
            console.print()
            console.print(*_group(shown), *grid(shown, console.width, view), sep="\n")
    console.print()
    console.print(Text(READS[view], style="dim"))
    for note in table.footnotes:
        if note.mark in marks:
            console.print(Text(f"{raised(note.mark)} {note.text}", style="dim"))
    for line in table.missing:
        console.print(Text(_missing(line, table, measured), style=COLOURS[line.state]))


def _group(table: Table) -> Iterator[Text]:
    """Yield the group of all columns, where they have one in common."""
    groups = {column.group for column in table.columns}
    if len(groups) == 1 and (group := groups.pop()):
        yield Text(group, style="bold")


def _marks(table: Table) -> set[str]:
    """Return the marks of footnotes that are shown."""
    heads = {mark for head in (*table.rows, *table.columns) for mark in head.footnotes}
    return heads | ({ORACLE} if any(cell.oracle for _, _, cell in table.by_row()) else set())


def _missing(line: Missing, table: Table, measured: bool) -> str:
    """Return why numbers are missing and where; of what was not asked for the beginning, or nothing."""
    said = f"{line.state.replace('_', ' ')} ({line.count}): {line.reason}"
    where = "; ".join(group_text(group, table.protocol.seeds) for group in line.groups)
    if line.state != "not_measured":
        return f"{said} – {where}"
    return said if measured else f"{said} – {textwrap.shorten(where, PLACES, placeholder=' …')}"


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


def _layers(table: LayerTable) -> Grid:
    grid = Grid("network", "layer", "published", "output", "reproduced", "output", "", pad_edge=False)
    for row in table.layers:
        sides = [
            getattr(side, name, "–") for side in (row.published, row.reproduced) for name in ("dimensions", "output")
        ]
        texts = [row.network, row.layer, *sides, row.word]
        grid.add_row(*map(Text, texts), style="yellow" if row.word == "differs" else "")
    return grid
