"""What all views of a table share: numbers as text, words for states, the order of methods, merged headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from harness.errors import UserError
from harness.tables.table import AnyTable, Head, MissingGroup, Table, TableCell, Text

View = Literal["both", "reproduced", "published", "difference"]
VIEWS: tuple[View, ...] = get_args(View)
STATE_TEXT = {
    "measured": "measured in this build",
    "recorded": "accepted record",
    "stale": "stale: measured with other sources than today's; neither ranked nor averaged",
    "not_measured": "not measured",
    "unavailable": "unavailable",
    "failed": "failed",
    "not_applicable": "not applicable",
    "incomplete": "incomplete",
}
NOTHING = "–"
LEGEND = ("", "third", "second", "best")
"""What the steps of shading mean, by step."""
BELOW = "not above finding nothing"
"""What grey means: every pixel marked, or a coin, does as well."""
READS = {
    "both": "Above: reproduced; below: published.",
    "reproduced": "Reproduced numbers.",
    "published": "Published numbers.",
    "difference": "Reproduced minus published.",
}


@dataclass(frozen=True)
class Options:
    """Which numbers a view shows; `spread`: for LaTeX, the spread over seeds under each reproduced one."""

    view: View = "both"
    spread: bool = False


BOTH = Options()


def state_word(state: str, n: int) -> str:
    """Return what `n` runs of a state are called."""
    word = STATE_TEXT[state].split(":")[0]
    return f"{word}s" if state == "recorded" and n != 1 else word


def parse_view(name: str) -> View:
    """Return the view of this name. Raises UserError for an unknown one."""
    for view in VIEWS:
        if name == view:
            return view
    raise UserError(f"unknown view '{name}'; known: {', '.join(VIEWS)}")


def fitting(table: Table, view: View) -> View:
    """Return the view, or the reproduced numbers where none are published or comparable."""
    return view if any(cell.published is not None for _, _, cell in table.by_row()) else "reproduced"


@dataclass(frozen=True)
class Span:
    """One heading over `width` columns."""

    title: Text
    width: int
    marks: str = ""


def own_first(table: Table) -> Table:
    """Return the table with the paper's own methods first in each group, and yardsticks last."""
    groups = list(dict.fromkeys(head.group for head in table.series))
    heads = table.series
    order = sorted(
        range(len(heads)), key=lambda i: (groups.index(heads[i].group), heads[i].role == "yardstick", not heads[i].own)
    )
    return picked(table, order)


def picked(table: Table, order: Sequence[int]) -> Table:
    """Return the table with these of its series, in this order."""
    heads = tuple(table.series[i] for i in order)
    if table.methods == "rows":
        return replace(table, rows=heads, cells=tuple(table.cells[i] for i in order))
    return replace(table, columns=heads, cells=tuple(tuple(row[i] for i in order) for row in table.cells))


def panels(table: Table) -> list[Table]:
    """Return the table, and its yardsticks as a second one where they would be columns, of the rows that have any."""
    extra = [i for i, head in enumerate(table.series) if head.role == "yardstick"]
    if table.methods == "rows" or not extra:
        return [table]
    rest = [i for i in range(len(table.series)) if i not in extra]
    beside = picked(table, extra)
    known = [r for r, cells in enumerate(beside.cells) if any(cell.any_value is not None for cell in cells)]
    yardsticks = replace(beside, rows=tuple(beside.rows[r] for r in known), cells=tuple(beside.cells[r] for r in known))
    return [picked(table, rest), *([yardsticks] if known else [])]


def any_known(table: Table) -> bool:
    """Tell whether any number was reproduced."""
    return any(cell.any_value is not None for _, _, cell in table.by_row())


def word(cell: TableCell) -> str:
    """Return what stands where there is no number: a dash, how much of a mean is there, or that it failed."""
    if cell.count is not None and cell.count[0]:
        return f"{cell.count[0]}/{cell.count[1]}"
    return "failed" if cell.state == "failed" else NOTHING


def reproduced(cell: TableCell) -> tuple[str, str]:
    """Return a cell's reproduced number, a stale one where there is no other, or a word; and its mark."""
    if cell.any_value is None:
        return word(cell), ""
    return number(cell.any_value, cell.decimals), "s" if cell.reproduced is None else "†" * cell.oracle


def lines(cell: TableCell, view: View) -> list[str]:
    """Return a cell's text under a view, line by line."""
    published = number(cell.published, cell.published_decimals) or NOTHING
    if view == "both":
        return ["".join(reproduced(cell)), *([published] if cell.published is not None else [])]
    if view == "reproduced":
        return ["".join(reproduced(cell))]
    return [published if view == "published" else difference(cell) or NOTHING]


def shade(cell: TableCell, view: View) -> int:
    """Return the step of shading of a cell under a view; differences have none."""
    if view == "difference":
        return 0
    return cell.published_shade if view == "published" else cell.shade


def number(value: float | None, decimals: int) -> str:
    """Return a number with a true minus sign; an empty text for None."""
    return "" if value is None else f"{value:.{decimals}f}".replace("-", "−")


def difference(cell: TableCell) -> str:
    """Return a cell's signed difference; zero has a sign of its own, so that it reads as a difference."""
    if cell.difference is None:
        return ""
    # It is known no better than the published number.
    text = f"{cell.difference:+.{min(cell.decimals, cell.published_decimals)}f}"
    return "±" + text[1:] if float(text) == 0 else text.replace("-", "−")


def number_of(table: AnyTable) -> str:
    """Return the table's number in its paper, without the word: "3", "3 (main paper)"."""
    return table.label.removeprefix("Table ") + (" (main paper)" if table.paper == "main" else "")


def full_title(label: str, paper: str, title: str) -> str:
    """Return a table's number and title; both papers count from one."""
    return f"{label}{' (main paper)' if paper == 'main' else ''}: {title.replace('{data}', 'the data')}"


def caption(table: AnyTable) -> str:
    """Return the paper's number and title, and what is shown."""
    return f"{full_title(table.label, table.paper, table.title)}. {table.caption}"


def spread(cell: TableCell) -> str:
    """Return the spread over seeds, or the bootstrap interval of one seed, as text."""
    if cell.spread is not None:
        return "± " + number(cell.spread, cell.decimals)
    return "" if cell.interval is None else " to ".join(number(end, cell.decimals) for end in cell.interval)


def spread_kind(cell: TableCell) -> str:
    """Return what `spread` tells of a cell."""
    return "standard deviation over seeds" if cell.spread is not None else "95 % interval over test images"


def group_text(group: MissingGroup, seeds: Sequence[int]) -> str:
    """Return a group of missing runs as text: its methods, then the categories of each data set.

    Seeds are named only where not all of the protocol's `seeds` are missing.
    """
    places: dict[str, list[str]] = {}
    for name in group.categories:
        dataset, _, category = name.partition("/")
        places.setdefault(dataset, []).append(category)
    where = "; ".join(f"{dataset}: {', '.join(_spans(names))}" for dataset, names in places.items())
    which = f", seed {', '.join(map(str, group.seeds))}" if list(group.seeds) != list(seeds) else ""
    return f"{', '.join(group.methods)} on {where}{which}"


def _spans(names: Sequence[str]) -> list[str]:
    """Return names with three or more consecutive numbers written as a span: 0–9."""
    runs: list[list[str]] = []
    for name in names:
        follows = bool(runs) and name.isdecimal() and runs[-1][-1].isdecimal() and int(name) == int(runs[-1][-1]) + 1
        if follows:
            runs[-1].append(name)
        else:
            runs.append([name])
    return [text for run in runs for text in ([f"{run[0]}–{run[-1]}"] if len(run) > 2 else run)]


def headings(columns: Sequence[Head]) -> list[list[Span]]:
    """Return the lines of headings, equal neighbours of a line that has lines below merged."""
    depth = max((len(column.subtitles) for column in columns), default=0)
    found = [[_heading(column, level) for column in columns] for level in range(depth + 1)]
    if any(column.group for column in columns):
        found.insert(0, [Span(Text(column.group or ""), 1) for column in columns])
    return [merge(line) for line in found[:-1]] + found[-1:]


def merge(line: Sequence[Span]) -> list[Span]:
    """Return a line of headings with equal neighbours merged; empty ones stay apart."""
    merged: list[Span] = []
    for span in line:
        last = merged[-1] if merged else None
        if last is not None and span.title.text and (last.title, "") == (span.title, last.marks):
            merged[-1] = Span(last.title, last.width + span.width)
        else:
            merged.append(span)
    return merged


def _heading(column: Head, level: int) -> Span:
    """Return a column's text on one line of the heading; its marks stand at the lowest line that has a text."""
    texts = [column.title, *column.subtitles]
    lowest = max(i for i, text in enumerate(texts) if text.text or i == 0)
    text = texts[level] if level < len(texts) else Text("")
    return Span(text, 1, ",".join(column.footnotes) if level == lowest else "")
