"""The last words of a build: what failed since it began, each failure by its cell, reason and log."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from harness.cell import Cell
from harness.config import load_config
from harness.errors import UserError
from harness.paths import WORK
from harness.tables.plans import Plans
from harness.workflow.job_status import all_attempts

FIT = re.compile(r"[0-9a-f]{24}")
TAIL_BYTES = 4096
CellOf = Callable[[str], Cell | None]


class Build:
    """A build that begins now in the current folder. Failures are counted, because file dates can lie."""

    def __init__(self, work: Path = WORK) -> None:
        self.work, self.began, self.before = work, time.time(), all_attempts(work)

    def end(self) -> None:
        """Print one line for each cell that failed and each job that was stopped; exit with 1 if there is any."""
        lines = [*self.failures(), *self.stopped()]
        for line in lines:
            print(f"failed: {line}", file=sys.stderr)
        if lines:
            sys.exit(1)

    def failures(self) -> Iterator[str]:
        """Yield one line for each piece of work with more failures than before."""
        cell_of = _finder()
        for path in sorted((self.work / "failures").glob("*")):
            lines = path.read_text().splitlines()
            if len(lines) > self.before.get(path.name, 0):
                what, log = _described(path.name, self.work / "logs", cell_of)
                yield f"{what}: {lines[-1]}{f'; log: {log}' if log.is_file() else ''}"

    def stopped(self) -> Iterator[str]:
        """Yield the last line of each log that ends with what the user has to mend."""
        for path in sorted((self.work / "logs").glob("*/**/*.log")):
            if path.stat().st_mtime >= self.began - 1:
                with path.open("rb") as file:
                    file.seek(max(0, path.stat().st_size - TAIL_BYTES))
                    last = file.read().decode(errors="replace").rstrip().rpartition("\n")[2]
                if last.startswith("error: "):
                    yield f"{last.removeprefix('error: ')}; log: {path}"


def _finder() -> CellOf:
    """Return a function from a fit's key to its cell: None where today's sources or configuration do not know it."""
    plans = cache(lambda: Plans(load_config()))

    def find(key: str) -> Cell | None:
        with suppress(UserError):
            return plans().cell_of(key)
        return None

    return find


def _described(name: str, logs: Path, cell_of: CellOf) -> tuple[str, Path]:
    """Return in words what failed, and its log, from the name under which its failures are counted."""
    if FIT.fullmatch(name):
        cell = cell_of(name)
        what = f"{cell.method} on {cell.source} {cell.category}, seed {cell.seed} ({cell.protocol})" if cell else name
        return f"fit of {what}", logs / "fit" / f"{name}.log"
    stage = "prepare" if re.search(r"\.\d+px$", name) else "evaluate"
    return f"{stage} {name}", logs / stage / f"{name}.log"
