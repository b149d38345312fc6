"""Licences: shown before a download, accepted once, in config or by `--accept-licence`, and recorded with the date."""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmark.data.atomic import write_text
from benchmark.data.sources import read_stamp
from benchmark.errors import DataError


class Licences:
    """What the user has accepted: `accepted` comes from config.yaml, `path` (work/licences.json) is the record."""

    def __init__(self, path: Path, accepted: Collection[str] = ()) -> None:
        self.path, self._configured = path, set(accepted)

    def accept(self, entry: Mapping[str, Any]) -> None:
        """Record today's acceptance of a dataset's licence; nothing to do where it has none."""
        if "licence" not in entry:
            return
        record = read_stamp(self.path) or {}
        licence, name = entry["licence"], _name(entry)
        if record.get(name, {}).get("licence") == licence["name"]:
            return
        today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        record[name] = {"licence": licence["name"], "url": licence["url"], "accepted": today}
        write_text(self.path, json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n")

    def require(self, entry: Mapping[str, Any]) -> None:
        """Raise DataError, showing the licence, unless it was accepted; record what config accepts."""
        if "licence" not in entry:
            return
        name, licence = _name(entry), entry["licence"]
        if name in self._configured:
            self.accept(entry)
            return
        accepted = (read_stamp(self.path) or {}).get(name, {})
        if accepted.get("licence") != licence["name"]:
            raise DataError(
                f"{name}: its licence is {licence['name']} ({licence['url']}); read it, then run "
                f"`python -m benchmark fetch {entry['id']} --accept-licence` or add {name} to licences_accepted"
            )


def _name(entry: Mapping[str, Any]) -> str:
    return str(entry.get("raw", entry["id"]))
