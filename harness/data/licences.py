"""Licences: shown before a download, accepted once, in config or by `--accept-licence`, and recorded with the date."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from harness.data.atomic import write_text
from harness.data.sources import read_stamp
from harness.errors import DataError


class Licences:
    """What the user has accepted: `accepted` comes from config.yaml, `path` (work/licences.json) is the record.

    `say` is told each licence that is accepted.
    """

    def __init__(self, path: Path, accepted: Collection[str] = (), say: Callable[[str], None] = lambda text: None):
        self.path, self._configured, self._say = path, set(accepted), say

    def accept(self, entry: Mapping[str, Any]) -> None:
        """Show a dataset's licence and record today's acceptance of it; nothing to do where it has none."""
        if "licence" not in entry:
            return
        record = read_stamp(self.path) or {}
        licence, name = entry["licence"], _name(entry)
        if self._field(entry, "licence") != licence["name"]:
            today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
            record[name] = {"licence": licence["name"], "url": licence["url"], "accepted": today}
            write_text(self.path, json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
        terms = f"{licence['name']}{', not for commercial use' if licence.get('non_commercial') else ''}"
        self._say(f"{name}: licence {terms} ({licence['url']}), accepted on {self._field(entry, 'accepted')}")

    def require(self, entry: Mapping[str, Any]) -> None:
        """Raise DataError, showing the licence, unless it was accepted; record what config accepts."""
        if "licence" not in entry:
            return
        name, licence = _name(entry), entry["licence"]
        if name in self._configured:
            self.accept(entry)
            return
        if self._field(entry, "licence") != licence["name"]:
            raise DataError(
                f"{name}: its licence is {licence['name']} ({licence['url']}); read it, then run "
                f"`python -m harness fetch {entry['id']} --accept-licence` or add {name} to licences_accepted"
            )

    def _field(self, entry: Mapping[str, Any], key: str) -> str:
        record = (read_stamp(self.path) or {}).get(_name(entry))
        return str(record.get(key, "")) if isinstance(record, dict) else ""


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("raw", entry["id"]))
