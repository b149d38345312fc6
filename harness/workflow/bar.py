"""A build as one progress bar: how far it is, how long it will take, and what is running. Plain lines off a terminal.

Fed by the events that Snakemake hands to a logger plugin; workflow/loggers/ is that plugin.
"""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Callable, Mapping
from logging import LogRecord

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness.records.on_cpu import duration

SHOWN, WIDTH = 3, 44
Clock = Callable[[], float]


class Bar:
    """What Snakemake's log says of a build, on `console`. Nothing is shown before the number of steps is known."""

    def __init__(self, console: Console, clock: Clock = time.monotonic, every: float = 20.0) -> None:
        self.console, self.clock, self.every = console, clock, every
        self.known: dict[int, str] = {}
        self.running: dict[int, None] = {}
        self.done, self.total, self.began, self.said = 0, 0, clock(), clock()
        columns = (
            BarColumn(24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}"),
        )
        self.progress = Progress(*columns, console=console, transient=True)
        self.task = self.progress.add_task("", total=None, left="")

    def take(self, record: LogRecord) -> None:
        """Take one record of Snakemake's log: an event moves the bar, a warning or an error is printed."""
        event = str(getattr(record, "event", None) or "")
        if event == "run_info":
            self.total = int(vars(record)["stats"].get("total", 0))
        elif event == "job_info":
            self.known[vars(record)["jobid"]] = described(vars(record))
        elif event == "job_started":
            self.running |= dict.fromkeys(vars(record)["jobs"])
        elif event in ("job_finished", "job_error"):
            self.running.pop(vars(record).get("job_id", vars(record).get("jobid", -1)), None)
        elif event == "progress":
            self.done, self.total = vars(record)["done"], vars(record)["total"]
        if event:
            self._show()
        if worth_saying(record, event):
            self.console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away; what was built remains in one line."""
        if self.progress.live.is_started:
            self.progress.stop()
        if self.done:
            self.console.print(
                f"{self.done} of {self.total} steps in {duration(self.clock() - self.began)}", highlight=False
            )
        self.done = 0

    def seconds_left(self) -> float | None:
        """Return the seconds until the end, if the steps left take as long as those before; None without either."""
        if not 0 < self.done < self.total:
            return None
        return (self.clock() - self.began) / self.done * (self.total - self.done)

    def _show(self) -> None:
        if not self.total:
            return
        left = self.seconds_left()
        text = "" if left is None else f"about {duration(left)} left"
        if self.console.is_terminal:
            self.progress.start()
            self.progress.update(self.task, completed=self.done, total=self.total, left=text, description=self._names())
        elif self.running and self.clock() - self.said >= self.every:
            self.said = self.clock()
            parts = [f"{self.done} of {self.total} steps", *([text] if text else []), self._names()]
            self.console.print(", ".join(parts), highlight=False, soft_wrap=True)

    def _names(self) -> str:
        """Return what is running, such as `fit avid brick`, cut where a line would end."""
        names = [self.known[job] for job in self.running if job in self.known]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        text = ", ".join(names[:SHOWN]) + more
        return text if len(text) <= WIDTH or not self.console.is_terminal else f"{text[: WIDTH - 1]}…"


def described(job: Mapping[str, object]) -> str:
    """Return what a job does, from its rule and the cell that its command names."""
    words = shlex.split(str(job.get("shellcmd") or ""))
    given = dict(itertools.pairwise(words))
    cell = [given[f"--{name}"] for name in ("method", "category") if f"--{name}" in given]
    wildcards = job.get("wildcards")
    if not cell and isinstance(wildcards, Mapping):
        cell = [str(value) for value in wildcards.values()][-1:]
    return " ".join([str(job.get("rule_name", "")), *cell]).strip()


def worth_saying(record: LogRecord, event: str) -> bool:
    """Tell whether a user wants to read a record: errors and warnings, and that there was nothing to do."""
    if event == "job_error":  # the build's last words name the cell, the reason and the log
        return False
    return record.levelname in ("WARNING", "ERROR", "CRITICAL") or record.getMessage().startswith("Nothing to be done")
