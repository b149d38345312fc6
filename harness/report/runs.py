"""Every run behind the tables of a protocol, as the report shows it: state, record, how to measure it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.audit.trace import rebuild_command
from harness.cell import Cell
from harness.figures.series import published_points
from harness.metrics.results import Measured
from harness.records.losses import main_loss
from harness.records.plan import Plan
from harness.records.record import ImageRow, Record
from harness.records.status import STATES, Status
from harness.report.pool import Pool
from harness.tables.cells import Evidence
from harness.tables.table import AnyTable, Head, Table

KEPT = ("fingerprint", "date", "fit", "export")
SHARED = (
    "counts", "data_digest", "data_notes", "weights_origin", "precision", "training", "commit", "dirty", "hardware",
    "libraries",
)  # fmt: skip
POOLS = ("texts", "shared", "labels", "image_sets", "thresholds", "pictures")
"""What many runs share; the pictures last, for deflating finds nothing in them and would forget what came before."""
LISTED, BINS, MOST_POINTS, MOST_LOSSES = 200, 24, 60, 30
"""Images that a run lists one by one (the record has all), bars of its histogram, points of curves left whole."""
MANY = 500
"""With more records than these, only the first seed's runs show curves and list images; the records have all."""


@dataclass
class Runs:
    """The runs of all tables, each once; what many of them share is held once."""

    plan: Plan
    tables: Mapping[str, AnyTable]
    evidence: Evidence = field(init=False)
    cells: dict[str, tuple[Cell, Status]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.plan)
        self._places: dict[str, int] = {}
        self._points = published_points(self.tables)
        self.texts, self.shared, self.labels, self.image_sets, self.thresholds = (Pool() for _ in range(5))
        self.pictures = Pool()

    def of_table(self, table: Table) -> list[list[int]]:
        """Return the places of the runs behind each cell of a table of numbers, row by row."""
        pairs = ((row, column) if table.methods == "rows" else (column, row) for row, column, _ in table.by_row())
        return [[self._add(*key) for key in self._behind(head, position)] for head, position in pairs]

    def _behind(self, head: Head, position: Head) -> Iterator[tuple[str, str, str, int]]:
        if head.method is None or head.dataset is None:
            return
        known = self.plan.categories(head.dataset)
        one = head.category or (position.id if position.role == "category" else None)
        for name in list(known) if one is None else [one]:
            for seed in self.plan.seeds(head.dataset, head.method) if name in known else ():
                yield head.dataset, name, head.method, seed

    def _add(self, dataset: str, category: str, method: str, seed: int) -> int:
        cell = self.plan.cell(dataset, category, method, seed)
        name = f"{cell.source}/{category}/{method}/seed{seed}"
        if name not in self.cells:
            self._places[name] = len(self.cells)
            self.cells[name] = (cell, self.evidence.status(dataset, category, method, seed))
        return self._places[name]

    @property
    def records(self) -> int:
        """How many runs have a record."""
        return sum(status.record is not None for _, status in self.cells.values())

    def coverage(self) -> list[dict[str, Any]]:
        """Return how many runs are in which state, by dataset."""
        counts: dict[str, dict[str, int]] = {}
        for cell, status in self.cells.values():
            counts.setdefault(cell.source, dict.fromkeys(STATES, 0))[status.state] += 1
        datasets = self.plan.datasets
        return [{"id": source, "title": datasets[source].title, **states} for source, states in counts.items()]

    def reasons(self) -> list[dict[str, Any]]:
        """Return why there are numbers missing: each state and reason with its runs, the most frequent first."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, (_, status) in self.cells.items():
            if not status.believed and status.state != "not_applicable":
                found.setdefault((status.state, status.reason or ""), []).append(name)
        order = sorted(found.items(), key=lambda item: (item[0][0] != "failed", -len(item[1])))
        return [{"state": state, "reason": reason, "runs": runs} for (state, reason), runs in order]

    def content(self) -> dict[str, Any]:
        """Return what the page holds of the runs; call it last, when every table has named its own."""
        few = self.records <= MANY
        runs = [
            self._run(name, cell, status, whole=few or cell.seed == self.plan.seeds(cell.dataset, cell.method)[0])
            for name, (cell, status) in self.cells.items()
        ]
        cells = [cell for cell, _ in self.cells.values()]
        titles = {
            "data": {cell.source: self.plan.datasets[cell.source].title for cell in cells},
            "category": {f"{c.source}/{c.category}": self.plan.categories(c.dataset)[c.category].title for c in cells},
            "method": {cell.method: self.plan.methods[cell.method].title for cell in cells},
        }
        pools = {name: getattr(self, name).values for name in POOLS}
        commands = {name: rebuild_command("", measured=name == "again") for name in ("first", "again")}
        return {
            "runs": runs,
            "titles": titles,
            "commands": commands,
            "states": STATES,
            "protocol": self.plan.protocol.id,
            **pools,
        }

    def _run(self, name: str, cell: Cell, status: Status, *, whole: bool) -> dict[str, Any]:
        run: dict[str, Any] = {"id": name, "state": STATES.index(status.state)}
        if status.reason:
            run["reason"] = self.texts.place(status.reason)
        record = status.record
        if record is None:
            return run
        content = record.content()
        run |= {key: content[key] for key in KEPT} | {"fit_key": record.fit_key}
        run |= {"log_tail": record.log_tail} if record.log_tail else {}
        run["about"] = self.shared.place({key: content[key] for key in SHARED})
        run["policy"] = self.plan.methods[cell.method].threshold
        run["measures"] = [self._measure(m) for m in record.measures]
        if not whole:
            return run | {"cut": 1}
        points = self._points.get((cell.method, cell.category))
        parts = {"published": points, "losses": self._losses(record), "curve": self._curve(record)}
        run |= {key: value for key, value in parts.items() if value}
        return run | self._images(record.images)

    def _measure(self, measure: Measured) -> list[Any]:
        """Return [label, value, threshold, low, high, note], unknown ends left out."""
        label = self.labels.place([measure.name, measure.policy])
        low, high = measure.interval or (None, None)
        entry = [label, *_short([measure.value, measure.threshold, low, high])]
        entry.append(None if measure.note is None else self.texts.place(measure.note))
        while entry[-1] is None:
            entry.pop()
        return entry

    def _curve(self, record: Record) -> list[Any] | None:
        curve = record.curve
        if curve is None:
            return None
        chosen = slice(None, None, 2 if len(curve["iou"]) > MOST_POINTS else 1)
        return [self.thresholds.place(_short(curve["thresholds"][chosen])), _short(curve["iou"][chosen], 3)]

    @staticmethod
    def _losses(record: Record) -> dict[str, Any] | None:
        """Return step and loss of the longest loop, every second point where there are many, and the last."""
        found = main_loss(record.losses)
        if found is None:
            return None
        every = slice(None, None, -2 if len(found["step"]) > MOST_LOSSES else -1)
        return {"step": found["step"][every][::-1], "loss": _short(found["loss"][every][::-1], 3)}

    def _images(self, rows: Sequence[ImageRow]) -> dict[str, Any]:
        if not rows:
            return {}
        found: dict[str, Any] = {"histogram": _histogram(rows)}
        if len(rows) > LISTED:
            return found
        found["images"] = self.image_sets.place([[row.id, row.label, int(row.anomalous)] for row in rows])
        found["score"] = _short([row.score for row in rows], 3)
        overlaps = _short([row.iou for row in rows if row.anomalous], 3)  # normal images have none
        return found | ({"iou": overlaps} if any(value is not None for value in overlaps) else {})


def _histogram(rows: Sequence[ImageRow]) -> list[Any]:
    """Return [lowest, highest, counts of normal images, counts of anomalous ones] of the scores."""
    scores, anomalous = np.array([row.score for row in rows]), np.array([row.anomalous for row in rows], bool)
    low, high = float(scores.min()), float(scores.max())
    ends = (low, high if high > low else low + 1)
    counts = [np.histogram(scores[chosen], BINS, ends)[0].tolist() for chosen in (~anomalous, anomalous)]
    return [*_short(list(ends)), *counts]


def _short(values: Sequence[float | None], digits: int = 4) -> list[float | None]:
    """Return values with few digits: the page is for the eye, the record has all of them."""
    return [None if value is None else float(f"{value:.{digits}g}") for value in values]
