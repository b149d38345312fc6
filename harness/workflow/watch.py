"""The live view: a table that renews itself on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.live import Live
from rich.table import Table

from harness.workflow.runs import Running, seconds_left

HEADS = ("fit", "cell", "at", "step", "loss", "images/s", "left", "device")
Look = Callable[[], list[Running]]


def watch(look: Look, console: Console, seconds: float, rounds: int | None = None) -> None:
    """Show what `look` finds every few seconds until Ctrl-C, or `rounds` times."""
    with Live(grid(look()), console=console, auto_refresh=False, screen=False) as live:
        while rounds is None or (rounds := rounds - 1) >= 0:
            time.sleep(seconds)
            live.update(grid(look()), refresh=True)


def grid(runs: Iterable[Running]) -> Table:
    """Return the table of what is running."""
    table = Table(*HEADS, pad_edge=False, caption=summary(runs := list(runs)), caption_justify="left")
    for run in runs:
        style = "dim" if run.stage == "stopped" else ""
        table.add_row(*row(run), style=style)
    return table


def lines(runs: Iterable[Running]) -> list[str]:
    """Return the same as plain text, columns aligned."""
    runs = list(runs)
    rows = [HEADS, *map(row, runs)] if runs else []
    widths = [max(len(line[c]) for line in rows) for c in range(len(HEADS))] if rows else []
    text = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in rows]
    return [*text, summary(runs)]


def row(run: Running) -> tuple[str, ...]:
    """Return the texts of one fit in the order of `HEADS`."""
    line, cell = run.line, run.cell
    name = f"{cell.protocol} {cell.source} {cell.category} {cell.method} seed {cell.seed}" if cell else "other sources"
    left = seconds_left(line) if run.stage == "fit" else None
    at = "starting" if run.stage == "fit" and not line else run.stage
    return (
        run.key[:8], name, f"{at} {line['loop']}" if line else at,
        f"{line['step']}/{line['of']}" if line else "",
        "" if run.loss is None else f"{run.loss:.4g}",
        f"{line['images_per_s']:.1f}" if line else "",
        "" if left is None else clock(left),
        str(line.get("device", "")),
    )  # fmt: skip


def summary(runs: Iterable[Running]) -> str:
    """Return one line: how many fits run, and how many were stopped."""
    stages = [run.stage for run in runs]
    stopped = stages.count("stopped")
    after = f"; {stopped} stopped before the end: build again and they go on" if stopped else ""
    return f"{stages.count('fit')} fits running{after}"


def clock(seconds: float) -> str:
    """Return hours, minutes and seconds, such as 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
