"""How many images a category has, as far as it is known without reading one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from harness import paths
from harness.cell import Cell
from harness.errors import UserError
from harness.records.reading import place_of, read_record
from harness.records.record import Record
from harness.tables.plans import Plans
from harness.workflow.job_status import read_status


class RunHistory:
    """The sound records of `records/` and `work/records/` by cell, read once; damaged ones are `verify`'s business."""

    def __init__(self, grid: Plans, folders: Iterable[Path] | None = None) -> None:
        self.grid = grid
        self.folders = (paths.RECORDS, paths.WORK / "records") if folders is None else tuple(folders)

    @cached_property
    def records(self) -> list[tuple[Cell, Record]]:
        """Return every measured record whose protocol, dataset and method are still known."""
        paths = [(path, folder) for folder in self.folders for path in sorted(folder.rglob("seed*.json"))]
        found = (self._read(path, folder) for path, folder in paths)
        return [pair for pair in found if pair is not None]

    def _read(self, path: Path, folder: Path) -> tuple[Cell, Record] | None:
        try:
            protocol, source, category, method, seed = place_of(path, folder)
            cell = self.grid.plan(protocol).at(source, category, method, seed)
            record = read_record(path, cell)
        except UserError:
            return None
        return None if record.failed else (cell, record)

    def counts(self, cell: Cell) -> Mapping[str, int] | None:
        """Return the images of a cell's category: train (held-out ones included), test_normal, test_anomalous.

        From the prepared data, else from the published counts of config/datasets.yaml, else from a record.
        """
        plan = self.grid.plan(cell.protocol)
        manifest = read_status(plan.data_folder(cell) / "manifest.json") or {}
        dataset = plan.dataset(cell)
        counts = manifest.get("counts") or dataset.categories[cell.category].counts or dataset.counts
        return counts or self._recorded.get((cell.source, cell.category))

    @cached_property
    def _recorded(self) -> dict[tuple[str, str], dict[str, int]]:
        found = {}
        for cell, record in self.records:
            counts = record.counts
            whole = {"test_normal": counts.test_normal, "test_anomalous": counts.test_anomalous}
            found[cell.source, cell.category] = whole | {"train": counts.train + counts.validation}
        return found


def tested(counts: Mapping[str, int]) -> int:
    """Return the number of test images."""
    return counts["test_normal"] + counts["test_anomalous"]
