"""Which cells a user means: those of a target, or those whose records match a glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from harness.cell import Cell, CellKey
from harness.errors import ConfigError
from harness.records.reading import place_of
from harness.workflow.inputs import Grid

EVERYTHING = "all"


def chosen_cells(what: str, folder: Path, grid: Grid) -> list[Cell]:
    """Return the cells of a target (results/lite/table3_iou) or of the records in `folder` that match a glob.

    A glob is matched part by part with <protocol>/<dataset>/<category>/<method>/seed<k>; parts left out mean any.
    Raises ConfigError for an unknown table, or a glob that nothing matches.
    """
    if Path(what).parts[:1] == ("results",):
        return target_cells(what, grid)
    for start in ("work/records/", "records/"):
        what = what.removeprefix(start)
    wanted = what.removesuffix(".json").strip("/").split("/")
    if len(wanted) > len(CellKey._fields):
        raise ConfigError(f"'{what}': a cell is <protocol>/<dataset>/<category>/<method>/seed<k>, five parts at most")
    found = []
    for path in sorted(folder.rglob("seed*.json")):
        names = path.relative_to(folder).with_suffix("").parts
        if all(fnmatchcase(name, part) for name, part in zip(names, wanted, strict=False)):
            protocol, source, category, method, seed = place_of(path, folder)
            found.append(grid.plan(protocol).at(source, category, method, seed))
    if not found:
        raise ConfigError(f"'{what}': no record in {folder}/ matches; a target begins with results/")
    return found


def target_cells(what: str, grid: Grid) -> list[Cell]:
    """Return the cells of one table, or of all (results/lite/all), each once. Raises ConfigError for an unknown one."""
    protocol, table = target(what)
    tables = grid.tables if table == EVERYTHING else [table]
    return list(dict.fromkeys(cell for name in tables for cell in grid.cells(protocol, name)))


def target(what: str) -> tuple[str, str]:
    """Return protocol and table of a target such as results/lite/table3_iou or the path of one of its views."""
    parts = Path(what).parts
    if parts[:1] != ("results",) or len(parts) not in (2, 3):
        raise ConfigError(f"'{what}' is no target; targets are results/<table> and results/<protocol>/<table>")
    return (parts[1] if len(parts) == 3 else "paper"), Path(parts[-1]).stem
