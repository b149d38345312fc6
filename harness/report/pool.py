"""Values that many runs share, held once: a page names them by their place."""

from __future__ import annotations

import json
from typing import Any


class Pool:
    """A list of different JSON values, in the order in which they were first asked for."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[str, int] = {}

    def place(self, value: Any) -> int:
        """Return where a value lies."""
        key = json.dumps(value, sort_keys=True)
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]
