"""Which cells fit into a budget of hours.

The order is fixed. A mean over an incomplete column stays blank, so whole columns come first: of each target in turn,
the methods all of whose open cells fit into what is left, the cheapest first. What is left after that is filled with
single cells, the cheapest first. A fit that several cells share is paid once; a cell of unknown cost is never chosen.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence

from harness.cell import Cell
from harness.errors import ConfigError
from harness.estimate.overview import Fit

UNITS = {"m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_budget(text: str) -> float:
    """Return the seconds of "90m", "8h" or "1.5d". Raises ConfigError for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([mhd])", text.strip())
    if match is None or float(match[1]) == 0:
        raise ConfigError(f"budget '{text}' is no time; write it like 90m, 8h or 1.5d")
    return float(match[1]) * UNITS[match[2]]


def choose(
    targets: Mapping[str, Sequence[Cell]], fits: Iterable[Fit], seconds: Mapping[str, float | None], budget: float
) -> list[Cell]:
    """Return the cells that fit in, in the order in which they were chosen.

    `targets` are the cells of each target, `seconds` what each fit costs by its key (None: unknown).
    """
    fit_of = {cell: fit.key for fit in fits for cell in fit.cells}
    chosen: dict[Cell, None] = {}
    paid: set[str] = set()

    def price(cells: Iterable[Cell]) -> float | None:
        new = [seconds[key] for key in {fit_of[cell] for cell in cells} - paid]
        return None if None in new else sum(cost for cost in new if cost is not None)

    def buy(groups: list[list[Cell]]) -> None:
        nonlocal budget
        while groups:
            priced = [(cost, number) for number, group in enumerate(groups) if (cost := price(group)) is not None]
            if not priced or min(priced)[0] > budget:
                return
            cost, number = min(priced)
            cells = groups.pop(number)
            chosen.update(dict.fromkeys(cells))
            paid.update(fit_of[cell] for cell in cells)
            budget -= cost

    for cells in targets.values():
        columns: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            if cell in fit_of and cell not in chosen:
                columns.setdefault((cell.dataset, cell.method), []).append(cell)
        buy(list(columns.values()))
    for cells in targets.values():
        buy([[cell] for cell in cells if cell in fit_of and cell not in chosen])
    return list(chosen)


def command(cells: Iterable[Cell], gpu: bool) -> str:
    """Return the command that builds these cells and nothing else."""
    paths = sorted(str("work/records" / cell.record) for cell in cells)
    resources = " --resources gpu=1" if gpu else ""
    return f"snakemake --cores all{resources} -- {shlex.join(paths)}"
