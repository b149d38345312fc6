"""Fits, maps and records that travel, by key: what lies in a store, and what of it is asked for.

In a store lie fits/<key>/ with an index of digests that is written last, and records/<place>/<fingerprint>.json. What a
key or a fingerprint names never changes: whoever comes first writes it, and clones with other sources share a store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from harness.cell import Cell, CellKey
from harness.errors import ConfigError
from harness.paths import WORK
from harness.records.plan import Plan
from harness.tables.plans import Plans
from harness.workflow.store import Store

STATUS, MAPS, INDEX = "status.json", "maps.npz", "index.json"
FILES = ("weights.safetensors", "trained.json", "log.jsonl", MAPS, STATUS)
"""The files of a fit that travel; the last one vouches for the others. None of them can hold code."""
FITS, RECORDS = WORK / "fits", WORK / "records"
OTHER = "of other sources"


@dataclass
class Share:
    """A store, what of it belongs to today's sources and is asked for, and what became of it.

    Attributes:
        cells: only these; None for all.
        outcomes: how many records and fits, by (what, what became of them).
        moved: the bytes that were copied.
        faults: what is damaged, one line each.
        arrived: the files that are new here.
    """

    store: Store
    plans: Plans
    cells: Iterable[Cell] | None = None
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    moved: int = 0
    faults: list[str] = field(default_factory=list)
    arrived: list[Path] = field(default_factory=list)

    @cached_property
    def _places(self) -> set[CellKey] | None:
        return None if self.cells is None else {cell.key for cell in self.cells}

    @cached_property
    def _asked_keys(self) -> set[str] | None:
        return None if self.cells is None else {self.plans.plan(cell.protocol).key(cell) for cell in self.cells}

    def keys(self, found: Iterable[str]) -> Iterator[str]:
        """Yield those of some fits' keys that today's sources imply and that are asked for."""
        for key in sorted(found):
            if self._asked_keys is None and self.plans.cell_of(key) is None:
                self.count("fits", OTHER)
            elif self._asked_keys is None or key in self._asked_keys:
                yield key

    def cell(self, place: CellKey) -> tuple[Plan, Cell] | None:
        """Return the cell of a record's place with its plan; None for one not known here, or not asked for."""
        try:
            plan = self.plans.plan(place.protocol)
            cell = plan.at(place.dataset, place.category, place.method, place.seed)
        except ConfigError:
            self.count("records", OTHER)
            return None
        return (plan, cell) if self._places is None or place in self._places else None

    def count(self, what: str, outcome: str, size: int = 0) -> None:
        """Note what became of one record or fit, and how many bytes were copied for it."""
        self.outcomes[what, outcome] += 1
        self.moved += size

    def text(self) -> str:
        """Return what became of all in one line."""
        counts = [f"{n} {what[: -1 if n == 1 else None]} {how}" for (what, how), n in sorted(self.outcomes.items())]
        return f"{', '.join(counts) or 'nothing to copy'}; {self.moved / 1e6:.1f} MB copied"
