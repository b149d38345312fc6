"""A table as lines of text: as many columns beside each other as the terminal holds, numbers point under point."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from harness.tables.table import Head, Table, TableCell
from harness.tables.view import View, lines, shade

COLOURS = {"stale": "yellow", "failed": "red"}
COLOURS |= dict.fromkeys(("not_measured", "unavailable", "incomplete", "not_applicable"), "dim")
BEST = 3
DEEPEST = 4
"""Lines of a heading."""
NAMES = 0.4
"""Share of the width that the names of rows may take before they are broken into two lines."""
RAISED = str.maketrans("abcdefghijklmnoprstuvwxyz,", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ ")
NUMBER = re.compile(r"([+−±]?\d+)(\.\d+)?(\D*)")


@dataclass(frozen=True)
class _Column:
    """A column's heading and, row by row, the lines of its cells, padded so that points stand under each other."""

    heading: str
    cells: tuple[tuple[str, ...], ...]

    def width(self, depth: int) -> int:
        """Return how wide it is with at most so many lines of heading."""
        body = max((len(line) for cell in self.cells for line in cell), default=1)
        least = max(body, *map(len, textwrap.wrap(self.heading, 1, break_long_words=False)), 1)
        most = max(len(self.heading), least)
        return next(w for w in range(least, most + 1) if w == most or len(_wrapped(self.heading, w)) <= depth)


def grid(table: Table, width: int, view: View) -> Iterator[Text]:
    """Yield the lines of a table; where columns go on below, an empty line parts them."""
    columns = [_column(table, c, view) for c in range(len(table.columns))]
    names = _names(table, columns, width)
    first = max(len(line) for name in names for line in name) + 1
    depth = _depth(columns, width - first)
    widths = [column.width(depth) for column in columns]
    for number, part in enumerate(_parts(widths, width - first)):
        if number:
            yield Text("")
        yield from _heading(table.corner, first, [(columns[c], widths[c]) for c in part])
        yield from _body(table, names, first, [(columns[c], widths[c], c) for c in part], view)


def raised(marks: str) -> str:
    """Return the marks of footnotes as they stand behind a name."""
    return marks.translate(RAISED).replace(" ", "")


def _names(table: Table, columns: Sequence[_Column], width: int) -> list[list[str]]:
    """Return the lines of the corner and of each row's name: one line where all columns fit beside that."""
    whole = [table.corner, *(_name(row) for row in table.rows)]
    longest = max(map(len, whole))
    broken = min(longest, max(int(width * NAMES), 1))
    fits = len(_parts([column.width(DEEPEST) for column in columns], width - longest - 1)) == 1
    return [_wrapped(name, longest if fits else broken) for name in whole]


def _name(head: Head) -> str:
    """Return a heading without its group: its words, those of a formula together, with the marks of its footnotes."""
    words = " ".join(text for text in (head.title.text, *(text.text for text in head.subtitles)) if text)
    together = re.sub(r"\|[^|]*\||[/+] ", lambda found: found[0].replace(" ", "\xa0"), words)
    return together + raised(",".join(head.footnotes))


def _column(table: Table, c: int, view: View) -> _Column:
    cells = [lines(row[c], view) for row in table.cells]
    found = [match for cell in cells for line in cell if (match := NUMBER.fullmatch(line))]
    before, point, behind = (max((len(match[i] or "") for match in found), default=0) for i in (1, 2, 3))

    def padded(line: str) -> str:
        match = NUMBER.fullmatch(line)
        if match is None:
            return line
        return f"{match[1]:>{before}}{match[2] or '':<{point}}{match[3]:<{behind}}"

    group = "" if _one_group(table) else table.columns[c].group or ""
    heading = " ".join(part for part in (group, _name(table.columns[c])) if part)
    return _Column(heading, tuple(tuple(map(padded, cell)) for cell in cells))


def _one_group(table: Table) -> bool:
    """Tell whether all columns are of one group, which then is named above them."""
    return len({column.group for column in table.columns}) == 1


def _wrapped(text: str, width: int) -> list[str]:
    """Return a text in lines, broken at blanks and behind hyphens, and anywhere in a word that is too long."""
    return [line.replace("\xa0", " ") for line in textwrap.wrap(text, max(width, 1))] or [""]


def _depth(columns: Sequence[_Column], room: int) -> int:
    """Return how many lines of heading give the fewest parts."""
    return min(range(1, DEEPEST + 1), key=lambda d: len(_parts([column.width(d) for column in columns], room)))


def _parts(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return which columns stand beside each other."""
    parts: list[list[int]] = [[]]
    for c, width in enumerate(widths):
        if parts[-1] and sum(widths[i] + 1 for i in parts[-1]) + width > room:
            parts.append([])
        parts[-1].append(c)
    return parts


def _heading(corner: str, first: int, columns: Sequence[tuple[_Column, int]]) -> Iterator[Text]:
    """Yield the lines of headings, which end on one line."""
    texts = [_wrapped(column.heading, width) for column, width in columns]
    depth = max(map(len, texts))
    for level in range(depth):
        cells = [([""] * (depth - len(text)) + text)[level] for text in texts]
        line = " ".join(f"{cell:^{width}}" for cell, (_, width) in zip(cells, columns, strict=True))
        yield Text(f"{corner if level == depth - 1 else '':<{first}}{line}".rstrip(), style="bold")


def _body(
    table: Table, names: Sequence[Sequence[str]], first: int, columns: Sequence[tuple[_Column, int, int]], view: View
) -> Iterator[Text]:
    """Yield the rows, each group under its name."""
    group = None
    for r, (row, name) in enumerate(zip(table.rows, names[1:], strict=True)):
        if row.group and row.group != group:
            yield Text(row.group, style="bold italic")
        group = row.group
        cells = [column.cells[r] for column, _, _ in columns]
        depth = max(len(name), *map(len, cells))
        for level in range(depth):
            text = Text(f"{name[level] if level < len(name) else '':<{first}}")
            for (_, width, c), cell in zip(columns, cells, strict=True):
                shown = cell[level] if level < len(cell) else ""
                text.append(f"{shown:^{width}}", "dim" if level else _style(table.cells[r][c], view)).append(" ")
            text.rstrip()
            yield text


def _style(cell: TableCell, view: View) -> str:
    return "bold" if shade(cell, view) == BEST else "dim" if cell.below else COLOURS.get(cell.state, "")
