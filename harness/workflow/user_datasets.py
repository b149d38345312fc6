"""Has the user changed a file of their own data since the last build?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.cell import Config
from harness.config import load_datasets
from harness.data.sources import folder_state


class OwnData:
    """The datasets of `extra_datasets`. Published ones do not change, and looking at all their files is slow."""

    def __init__(self, config: Config) -> None:
        self.root = Path(config.data_root) if config.data_root else None
        own = load_datasets(config) if config.extra_datasets else {}
        published = load_datasets(replace(config, extra_datasets=())) if own else {}
        self.entries = {name: entry for name, entry in own.items() if name not in published}
        self._states: dict[tuple[str, str], str] = {}

    def state(self, source: str, category: str) -> str:
        """Return a hash of names, sizes and dates of a category's files; nothing for a published dataset."""
        place = source, category
        if source in self.entries and place not in self._states:
            self._states[place] = folder_state(self.entries[source], category, self.root)
        return self._states.get(place, "")
