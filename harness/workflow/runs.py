"""What is running now: fits whose lock is held, with the last line of their logs."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.cell import Cell
from harness.workflow.job_status import read_status

TAIL_BYTES = 8192


@dataclass(frozen=True)
class Running:
    """A fit at work (`stage` "fit"), or one that was stopped ("stopped"); `line` is the last report, {} without one."""

    key: str
    cell: Cell | None
    stage: str
    line: dict[str, Any]

    @property
    def loss(self) -> float | None:
        """Return the loss; of several optimisers the first one's."""
        return next((v for k, v in self.line.items() if k == "loss" or k.endswith(".loss")), None)


def find_running(work: Path, cell_of: Callable[[str], Cell | None]) -> Iterator[Running]:
    """Yield the fits at work and those that were stopped; `cell_of` names the cell of a key."""
    for folder in sorted((work / "fits").glob("*/")):
        line = last_line(folder / "log.jsonl")
        if held(folder / "lock"):
            yield Running(folder.name, cell_of(folder.name), "fit", line if _of_holder(line, folder) else {})
        elif line and not read_status(folder / "status.json") and (cell := cell_of(folder.name)) is not None:
            yield Running(folder.name, cell, "stopped", line)  # a fit of other sources will not go on


def held(lock: Path) -> bool:
    """Tell whether a process holds a lock. The kernel frees it when its holder dies, so a killed fit holds none."""
    try:
        with lock.open() as file:
            # Shared, so that two watchers do not see each other, and freed at once: a fit that starts in this very
            # moment says that it waits, and goes on.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return False


def last_line(log: Path) -> dict[str, Any]:
    """Return the last complete report of a log; {} if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().split(b"\n")
    except OSError:
        return {}
    for text in reversed(lines):
        try:
            content = json.loads(text)
        except ValueError:
            continue
        if isinstance(content, dict) and "step" in content:
            return content
    return {}


def _of_holder(line: dict[str, Any], folder: Path) -> bool:
    """Tell whether a report is of the process that holds the lock: taking a lock sets its file's date."""
    return bool(line.get("time", 0) >= (folder / "lock").stat().st_mtime - 1)


def seconds_left(line: dict[str, Any], now: float | None = None) -> float | None:
    """Return the seconds until the loop ends, counted from now."""
    if "seconds_left" not in line or "time" not in line:
        return None
    passed = (time.time() if now is None else now) - line["time"]
    return float(max(0.0, line["seconds_left"] - max(0.0, passed)))
