"""What preparing a category depends on, and whether prepared data were made that way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.cell import Cell, Config
from harness.config import load_datasets
from harness.data.sources import folder_state
from harness.records.plan import Plan

RECIPE = "recipe.txt"
"""The file beside a manifest that holds the recipe by which the data were prepared."""


class Recipes:
    """The recipes of all data; of a user's own datasets the state of the files is a part of them.

    Published data do not change, and looking at all their files is slow.
    """

    def __init__(self, config: Config) -> None:
        self.root = Path(config.data_root) if config.data_root else None
        own = load_datasets(config) if config.extra_datasets else {}
        published = load_datasets(replace(config, extra_datasets=())) if own else {}
        self.user_datasets = {name: entry for name, entry in own.items() if name not in published}
        self._states: dict[tuple[str, str], str] = {}
        self._unchanged: dict[Path, bool] = {}

    def of(self, plan: Plan, cell: Cell, size: int) -> str:
        """Return the hash of what preparing depends on."""
        return plan.recipe(cell, size) + self._state(cell.source, cell.category)

    def unchanged(self, plan: Plan, cell: Cell) -> bool:
        """Tell whether a cell's prepared data, as far as they are here, are what preparing them today would give.

        Where they are gone, published data are what they were; of a user's own nobody knows.
        """
        sizes = {plan.settings(cell).size, plan.protocol.datasets[cell.dataset].size}
        return all(self._is_unchanged(plan, cell, size) for size in sizes)

    def _is_unchanged(self, plan: Plan, cell: Cell, size: int) -> bool:
        folder = plan.data_folder(cell, size)
        if folder not in self._unchanged:
            written = folder / RECIPE
            if written.exists():
                self._unchanged[folder] = written.read_text() == self.of(plan, cell, size)
            else:
                self._unchanged[folder] = not folder.exists() and cell.source not in self.user_datasets
        return self._unchanged[folder]

    def _state(self, source: str, category: str) -> str:
        """Return a hash of names, sizes and dates of a category's files; nothing for a published dataset."""
        place = source, category
        if source in self.user_datasets and place not in self._states:
            self._states[place] = folder_state(self.user_datasets[source], category, self.root)
        return self._states.get(place, "")
