"""Licences: shown before a download, accepted once, in config or by `--accept-licence`, and recorded with the date."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection
from pathlib import Path

from harness.data.atomic import write_text
from harness.data.sources import read_stamp
from harness.dataset import Dataset
from harness.errors import DataError


class Licences:
    """What the user has accepted: `accepted` comes from config.yaml, `path` (work/licences.json) is the record.

    `say` is told each licence that is accepted.
    """

    def __init__(self, path: Path, accepted: Collection[str] = (), say: Callable[[str], None] = lambda text: None):
        self.path, self._configured, self._say = path, set(accepted), say

    def accept(self, dataset: Dataset) -> None:
        """Show a dataset's licence and record today's acceptance of it; nothing to do where it has none."""
        if dataset.licence is None:
            return
        record = read_stamp(self.path) or {}
        licence, name = dataset.licence, dataset.source
        if self._field(dataset, "licence") != licence.name:
            today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
            record[name] = {"licence": licence.name, "url": licence.url, "accepted": today}
            write_text(self.path, json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        terms = f"{licence.name}{', not for commercial use' if licence.non_commercial else ''}"
        self._say(f"{name}: licence {terms} ({licence.url}), accepted on {self._field(dataset, 'accepted')}")

    def require(self, dataset: Dataset) -> None:
        """Raise DataError, showing the licence, unless it was accepted; record what config accepts."""
        if dataset.licence is None:
            return
        name, licence = dataset.source, dataset.licence
        if name in self._configured:
            self.accept(dataset)
            return
        if self._field(dataset, "licence") != licence.name:
            raise DataError(
                f"{name}: its licence is {licence.name} ({licence.url}); read it, then run "
                f"`python -m harness fetch {dataset.id} --accept-licence` or add {name} to licences_accepted"
            )

    def _field(self, dataset: Dataset, key: str) -> str:
        record = (read_stamp(self.path) or {}).get(dataset.source)
        return str(record.get(key, "")) if isinstance(record, dict) else ""
