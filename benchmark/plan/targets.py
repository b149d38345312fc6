"""Which cells a target needs: a table, a figure, a plot, or everything of a protocol."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from benchmark.errors import ConfigError
from benchmark.figures.extra import EXTRA_PLOTS
from benchmark.plan.grid import Grid
from benchmark.plan.outputs import Outputs
from benchmark.plan.plan import Cell

WITH_FIGURES = ("all", "report")
WHOLE = (*WITH_FIGURES, "tables", *EXTRA_PLOTS)
"""Targets that need every table."""


def cells_by_target(targets: Iterable[str], grid: Grid) -> dict[str, list[Cell]]:
    """Return the cells of each target in the order of its table. Raises ConfigError for an unknown one."""
    outputs = Outputs(grid)
    return {target: list(dict.fromkeys(_cells(target, grid, outputs))) for target in targets}


def _cells(target: str, grid: Grid, outputs: Outputs) -> list[Cell]:
    protocol, name = _parts(target, grid)
    where = "" if protocol == "paper" else f"{protocol}/"
    if name in WHOLE:
        found = [cell for table in grid.tables for cell in grid.cells(protocol, table)]
        figures = outputs.figures if name in WITH_FIGURES else []
        return found + [cell for figure in figures for cell in outputs.figure_cells(where, figure)]
    if name in outputs.figures:
        return outputs.figure_cells(where, name)
    table = name.removeprefix("plot_")
    if table in grid.tables:
        return grid.cells(protocol, table)
    known = [*grid.tables, *outputs.figures, *outputs.plots, *WHOLE]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    raise ConfigError(f"'{target}': no table, figure or plot is called '{name}'; {hint}")


def _parts(target: str, grid: Grid) -> tuple[str, str]:
    """Return protocol and name of a target such as results/lite/table3_iou.tex."""
    parts = Path(target).parts
    if parts[:1] != ("results",) or len(parts) not in (2, 3):
        raise ConfigError(f"'{target}' is no target; targets are results/<name> and results/<protocol>/<name>")
    protocol = parts[1] if len(parts) == 3 else "paper"
    if protocol not in grid.protocols:
        raise ConfigError(f"'{target}': unknown protocol '{protocol}'; known: {', '.join(grid.protocols)}")
    return protocol, Path(parts[-1]).stem
