"""What failed since a build began, each failure by its cell, reason and log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from harness.cell import Cell
from harness.config import load_config
from harness.errors import UserError
from harness.workflow.inputs import Grid

FIT = re.compile(r"([0-9a-f]{24})(\.export)?")
CellOf = Callable[[str], Cell | None]


def failures_since(before: Mapping[str, int], work: Path) -> Iterator[str]:
    """Yield one line for each piece of work with more failures than `before`, the numbers when the build began."""
    cell_of = _finder()
    for path in sorted((work / "failures").glob("*")):
        lines = path.read_text().splitlines()
        if len(lines) > before.get(path.name, 0):
            what, log = _described(path.name, work / "logs", cell_of)
            yield f"{what}: {lines[-1]}{f'; log: {log}' if log.is_file() else ''}"


def _finder() -> CellOf:
    """Return a function from a fit's key to its cell: None where today's sources or configuration do not know it."""
    grid = cache(lambda: Grid(load_config()))

    def find(key: str) -> Cell | None:
        with suppress(UserError):
            return grid().cell_of(key)
        return None

    return find


def _described(name: str, logs: Path, cell_of: CellOf) -> tuple[str, Path]:
    """Return in words what failed, and its log, from the name under which its failures are counted."""
    if found := FIT.fullmatch(name):
        key, stage = found[1], "export" if found[2] else "fit"
        cell = cell_of(key)
        what = f"{cell.method} on {cell.source} {cell.category}, seed {cell.seed} ({cell.protocol})" if cell else key
        return f"{stage} of {what}", logs / stage / f"{key}.log"
    if re.search(r"\.\d+px$", name):
        return f"prepare {name}", logs / "prepare" / f"{name}.log"
    if re.search(r"\.seed\d+$", name):
        return f"evaluate {name}", logs / "evaluate" / f"{name}.log"
    return name, logs / name
