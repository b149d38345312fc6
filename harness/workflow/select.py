"""Which cells a user means: those of a target, or those whose records match a glob."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from harness.cell import Cell, CellKey
from harness.errors import ConfigError
from harness.records.reading import place_of
from harness.workflow.targets import Targets


def chosen_cells(what: str, folder: Path, targets: Targets) -> list[Cell]:
    """Return the cells of a target (results/lite/table3_iou) or of the records in `folder` that match a glob.

    A glob is matched part by part with <protocol>/<dataset>/<category>/<method>/seed<k>; parts left out mean any.
    Raises ConfigError for an unknown table, or a glob that nothing matches.
    """
    if Path(what).parts[:1] == ("results",):
        return targets.cells(what)
    return [
        targets.plans.plan(place.protocol).at(place.dataset, place.category, place.method, place.seed)
        for place in places(what, folder)
    ]


def places(what: str, folder: Path) -> list[CellKey]:
    """Return where the records in `folder` lie that match a glob, whether or not there is such a method today.

    Raises ConfigError for a glob that nothing matches.
    """
    for start in ("work/records/", "records/"):
        what = what.removeprefix(start)
    wanted = what.removesuffix(".json").strip("/").split("/")
    if len(wanted) > len(CellKey._fields):
        raise ConfigError(f"'{what}': a cell is <protocol>/<dataset>/<category>/<method>/seed<k>, five parts at most")
    found = []
    for path in sorted(folder.rglob("seed*.json")):
        names = path.relative_to(folder).with_suffix("").parts
        if all(fnmatchcase(name, part) for name, part in zip(names, wanted, strict=False)):
            found.append(place_of(path, folder))
    if not found:
        raise ConfigError(f"'{what}': no record in {folder}/ matches; a target begins with results/")
    return found
