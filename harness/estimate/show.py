"""Printing a plan: a coloured table on a terminal, the same numbers as plain lines elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.estimate.disk import Need
from harness.estimate.overview import ALL_STATES
from harness.estimate.summary import Line, Summary

STYLES = {"measured": "green", "recorded": "green", "stale": "yellow", "failed": "red"}
STYLES |= {"not_measured": "dim", "unavailable": "dim"}
PLAIN_WIDTH = 160


def console() -> Console:
    """Return a console for standard output; as wide as the table where there is no terminal to ask."""
    found = Console()
    return found if found.is_terminal else Console(width=PLAIN_WIDTH)


def show(summary: Summary, needs: Iterable[Need], out: Console) -> None:
    """Print states, costs, disk, and what is ruled out."""
    out.print(_grid(summary, plain=not out.is_terminal))
    _say(out, _total(summary))
    for line in summary.reasons():
        _say(out, line)
    for note in summary.licences():
        if note:
            _say(out, note)
    if summary.overview.fits:
        _say(out, _disk(list(needs)))


def _say(out: Console, text: str) -> None:
    out.print(Text(text), soft_wrap=True)


def _grid(summary: Summary, plain: bool) -> Table:
    shown = [state for state in ALL_STATES if any(line.states[state] for line in summary.lines)]
    grid = Table(pad_edge=False, padding=(0, 1, 0, 0), box=None) if plain else Table(pad_edge=False)
    for name in ("protocol", "method", "budget"):
        grid.add_column(name)
    for name in [*shown, "fits to run", "hours", "GPU-hours"]:
        grid.add_column(name.replace("_", " "), justify="right", style=STYLES.get(name, ""))
    grid.add_column("hours from")
    for line in summary.lines:
        counts = [str(line.states[state] or "") for state in shown]
        grid.add_row(line.protocol, line.method, ", ".join(line.budgets), *counts, str(line.fits or ""), *_costs(line))
    return grid


def _costs(line: Line) -> list[str]:
    hours = [f"{seconds / 3600:.2f}" if line.known else "" for seconds in (line.seconds, line.gpu_seconds)]
    source = "; ".join(sorted(line.sources))
    return [*hours, f"{source} ({line.unknown} fits)" if line.unknown and line.known else source]


def _total(summary: Summary) -> str:
    lines = summary.lines
    fits, unknown = sum(line.fits for line in lines), sum(line.unknown for line in lines)
    cells = len(summary.overview.statuses)
    text = f"{cells} cells; {fits or 'no'} fits to run"
    if any(line.known for line in lines):
        seconds, gpu = sum(line.seconds for line in lines), sum(line.gpu_seconds for line in lines)
        text += f": {seconds / 3600:.2f} hours one after another, {gpu / 3600:.2f} GPU-hours"
    return text + (f"; {unknown} of them of unknown cost" if unknown else "")


def _disk(needs: list[Need]) -> str:
    parts = []
    for need in (need for need in needs if need.of):
        unknown = f"unknown for {need.unknown} of {need.of}" if need.unknown else ""
        known = _size(need.bytes) if need.unknown < need.of else ""
        parts.append(f"{need.what} {', '.join(filter(None, (known, unknown)))}")
    free = shutil.disk_usage(Path("work") if Path("work").exists() else Path()).free
    total = sum(need.bytes for need in needs)
    short = "; NOT ENOUGH" if total > free else ""
    return f"disk: {'; '.join(parts) or 'nothing more'}; {_size(free)} free{short}"


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
