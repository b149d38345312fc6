"""A table in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.tables.view import caption, coarser, difference, group_text, number

COLOURS = {"stale": "yellow", "failed": "red"}
COLOURS |= dict.fromkeys(("not_measured", "unavailable", "incomplete", "not_applicable"), "dim")
WORDS = {"not_applicable": "n/a", "not_measured": "–", "unavailable": "–"}


def show(table: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a table's JSON: best numbers bold, the published number and the difference below, reasons at the end."""
    console = console or Console()
    console.print(Text(caption(table), style="italic"))
    for grid in [_layers(table)] if table["kind"] == "layers" else _numbers(table, console.width):
        console.print(grid)
    for note in table.get("footnotes", []):
        console.print(Text(f"{note['mark']} {note['text']}", style="dim"))
    for line in table.get("missing", []):
        where = "; ".join(group_text(group, table["protocol"]["seeds"]) for group in line["groups"])
        word = line["state"].replace("_", " ")
        console.print(Text(f"{word}: {line['reason']} ({where})", style=COLOURS[line["state"]]))
    for note in table["notes"]:
        console.print(Text(note, style="dim"))


def _numbers(table: Mapping[str, Any], width: int) -> Iterator[Table]:
    """Yield the table in as many parts as its columns need lines of the terminal."""
    names = [_heading(row, ", ") for row in table["rows"]]
    columns = [_column(table, c) for c in range(len(table["columns"]))]
    room = max(width - max(map(len, [*names, table["corner"]])) - 3, 1)
    for part in _parts([max(_width(text) for text in column) for column in columns], room):
        grid = Table(pad_edge=False, padding=(0, 1, 0, 0))
        grid.add_column(Text(table["corner"]))
        for c in part:
            grid.add_column(columns[c][0], justify="center")
        for r, name in enumerate(names):
            grid.add_row(Text(name), *(columns[c][r + 1] for c in part))
        yield grid


def _column(table: Mapping[str, Any], c: int) -> list[Text]:
    return [Text(_heading(table["columns"][c], "\n")), *(_cell(row["cells"][c]) for row in table["rows"])]


def _width(text: Text) -> int:
    return max((len(line) for line in text.plain.split("\n")), default=0)


def _parts(widths: Sequence[int], room: int) -> Iterator[list[int]]:
    part: list[int] = []
    for c, width in enumerate(widths):
        if part and sum(widths[i] + 2 for i in part) + width + 2 > room:
            yield part
            part = []
        part.append(c)
    yield part


def _heading(head: Mapping[str, Any], between: str) -> str:
    marks = ",".join(head.get("footnotes", []))
    lines = [head.get("group"), head["title"], *(text["text"] for text in head.get("subtitles", []))]
    return between.join(line for line in lines if line) + (f" {marks}" if marks else "")


def _cell(cell: Mapping[str, Any]) -> Text:
    reproduced = number(cell["mean"], cell["decimals"]) + ("†" if cell["oracle"] and cell["mean"] is not None else "")
    if cell["mean"] is None:
        reproduced = _word(cell)
    style = COLOURS.get(cell["state"], "bold" if cell["rank"] == 1 and cell["ranked"] > 1 else "")
    paper = number(cell["published"], cell["published_decimals"])
    below = f"{paper} {difference(cell['difference'], coarser(cell))}".strip()
    return Text.assemble((reproduced, style), *([("\n" + below, "dim")] if below else []))


def _word(cell: Mapping[str, Any]) -> str:
    if cell["stale_mean"] is not None:
        return f"{number(cell['stale_mean'], cell['decimals'])} stale"
    if cell["count"] is not None:
        return f"{cell['count'][0]}/{cell['count'][1]}"
    return WORDS.get(cell["state"], cell["state"])


def _layers(table: Mapping[str, Any]) -> Table:
    grid = Table("network", "layer", "published", "output", "reproduced", "output", "", pad_edge=False)
    for row in table["rows"]:
        published, reproduced = row["published"] or {}, row["reproduced"] or {}
        texts = [row["network"], row["layer"]]
        texts += [side.get(name, "–") for side in (published, reproduced) for name in ("dimensions", "output")]
        grid.add_row(*map(Text, [*texts, row["word"]]), style="yellow" if row["word"] == "differs" else "")
    return grid
