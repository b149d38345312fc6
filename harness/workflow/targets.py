"""Which cells a target needs: a table, a figure, a plot, or everything of a protocol."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.cell import Cell
from harness.errors import ConfigError
from harness.figures.extra import EXTRA_PLOTS
from harness.nearest import hint
from harness.workflow.inputs import Grid
from harness.workflow.outputs import Outputs

WITH_FIGURES = ("all", "report")
WHOLE = (*WITH_FIGURES, "tables", *EXTRA_PLOTS)
"""Targets that need every table."""


def cells_by_target(targets: Iterable[str], grid: Grid) -> dict[str, list[Cell]]:
    """Return the cells of each target in the order of its table. Raises ConfigError for an unknown one."""
    outputs = Outputs(grid)
    return {target: list(dict.fromkeys(_cells(target, grid, outputs))) for target in targets}


def check_targets(targets: Iterable[str], outputs: Outputs) -> None:
    """Raise ConfigError for a file below results/ that no rule makes; other targets are not looked at."""
    for target in targets:
        path = Path(target)
        if path.parts[:1] != ("results",):
            continue
        _named(target, outputs.grid, outputs)
        where = "".join(f"{part}/" for part in path.parts[1:-1] if part != "paper")
        made = [*outputs.everything(where), f"results/{where}all"]
        if path.as_posix() not in made:
            forms = [name for name in made if Path(name).stem == path.stem]
            raise ConfigError(f"'{target}': nothing makes this file; made are {', '.join(forms)}")


def _cells(target: str, grid: Grid, outputs: Outputs) -> list[Cell]:
    protocol, name = _named(target, grid, outputs)
    where = "" if protocol == "paper" else f"{protocol}/"
    if name in WHOLE:
        found = [cell for table in grid.tables for cell in grid.cells(protocol, table)]
        figures = outputs.figures if name in WITH_FIGURES else []
        return found + [cell for figure in figures for cell in outputs.figure_cells(where, figure)]
    if name in outputs.figures:
        return outputs.figure_cells(where, name)
    return grid.cells(protocol, name.removeprefix("plot_"))


def _named(target: str, grid: Grid, outputs: Outputs) -> tuple[str, str]:
    """Return protocol and name of a target such as results/lite/table3_iou.tex."""
    protocol, name = _parts(target, grid)
    known = [*grid.tables, *outputs.figures, *outputs.plots, *WHOLE]
    if name in known:
        return protocol, name
    raise ConfigError(f"'{target}': no table, figure or plot is called '{name}'; {hint(name, known)}")


def _parts(target: str, grid: Grid) -> tuple[str, str]:
    parts = Path(target).parts
    if parts[:1] != ("results",) or len(parts) not in (2, 3):
        raise ConfigError(f"'{target}' is no target; targets are results/<name> and results/<protocol>/<name>")
    protocol = parts[1] if len(parts) == 3 else "paper"
    if protocol not in grid.protocols:
        raise ConfigError(f"'{target}': unknown protocol '{protocol}'; {hint(protocol, grid.protocols)}")
    return protocol, Path(parts[-1]).stem
