"""What all renderings of a table's JSON share: numbers as text, words for states, merged headings, shades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Span:
    """One heading over `width` columns."""

    title: str
    latex: str | None
    width: int
    marks: str = ""


def number(value: float | None, decimals: int) -> str:
    """Return a number with a true minus sign; an empty text for None."""
    return "" if value is None else f"{value:.{decimals}f}".replace("-", "−")


def difference(value: float | None, decimals: int) -> str:
    """Return a signed difference; zero has a sign of its own, so that it reads as a difference."""
    if value is None:
        return ""
    text = f"{value:+.{decimals}f}"
    return "±" + text[1:] if float(text) == 0 else text.replace("-", "−")


def coarser(cell: Mapping[str, Any]) -> int:
    """Return the decimals of a difference: it is known no better than the published number."""
    return min(int(cell["decimals"]), int(cell["published_decimals"]))


def full_title(table: Mapping[str, Any]) -> str:
    """Return a table's number and title; both papers count from one."""
    main = " (main paper)" if table["paper"] == "main" else ""
    return f"{table['label']}{main}: {table['title']}"


def caption(table: Mapping[str, Any]) -> str:
    """Return the caption with the number that the table has in the paper."""
    paper = "the supplementary" if table["paper"] == "supplementary" else "the main paper"
    return f"{table['label']} of {paper}. {table['caption']}"


def spread(cell: Mapping[str, Any]) -> str:
    """Return the spread over seeds, or the bootstrap interval of one seed, as text."""
    if cell["spread"] is not None:
        return "± " + number(cell["spread"], cell["decimals"])
    if cell["interval"] is not None:
        return " to ".join(number(end, cell["decimals"]) for end in cell["interval"])
    return ""


def spread_kind(cell: Mapping[str, Any]) -> str:
    """Return what `spread` tells of a cell."""
    return "standard deviation over seeds" if cell["spread"] is not None else "95 % interval over test images"


def shade(cell: Mapping[str, Any]) -> float | None:
    """Return 1 for the best of its row down to 0 for the worst; None when there is nothing to compare."""
    if cell["rank"] is None or cell["ranked"] < 2:
        return None
    return 1 - (cell["rank"] - 1) / (cell["ranked"] - 1)


def group_text(group: Mapping[str, Any], seeds: Sequence[int]) -> str:
    """Return a group of missing runs as text: its methods, then the categories of each data set.

    Seeds are named only where not all of the protocol's `seeds` are missing.
    """
    places: dict[str, list[str]] = {}
    for name in group["categories"]:
        dataset, _, category = name.partition("/")
        places.setdefault(dataset, []).append(category)
    where = "; ".join(f"{dataset}: {', '.join(_spans(names))}" for dataset, names in places.items())
    which = f", seed {', '.join(map(str, group['seeds']))}" if list(group["seeds"]) != list(seeds) else ""
    return f"{', '.join(group['methods'])} on {where}{which}"


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


def headings(columns: Sequence[Mapping[str, Any]]) -> list[list[Span]]:
    """Return the lines of headings, equal neighbours of a line that has lines below merged."""
    depth = max((len(column.get("subtitles", [])) for column in columns), default=0)
    lines = [[_heading(column, level) for column in columns] for level in range(depth + 1)]
    if any(column.get("group") for column in columns):
        lines.insert(0, [Span(column.get("group") or "", None, 1) for column in columns])
    return [merge(line) for line in lines[:-1]] + lines[-1:]


def merge(line: Sequence[Span]) -> list[Span]:
    """Return a line of headings with equal neighbours merged; empty ones stay apart."""
    merged: list[Span] = []
    for span in line:
        last = merged[-1] if merged else None
        if last is not None and span.title and (last.title, last.latex, "") == (span.title, span.latex, last.marks):
            merged[-1] = Span(last.title, last.latex, last.width + span.width)
        else:
            merged.append(span)
    return merged


def _heading(column: Mapping[str, Any], level: int) -> Span:
    """Return a column's text on one line of the heading; its marks stand at the lowest line that has a text."""
    texts = [{"text": column["title"], "latex": column["latex"]}, *column.get("subtitles", [])]
    lowest = max(i for i, text in enumerate(texts) if text["text"] or i == 0)
    text = texts[level] if level < len(texts) else {"text": "", "latex": None}
    return Span(str(text["text"]), text["latex"], 1, ",".join(column.get("footnotes", [])) if level == lowest else "")
