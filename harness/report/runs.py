"""Every run behind the tables of a protocol, as the report shows it: state, record, how to measure it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.audit.trace import rebuild_command
from harness.cell import Cell
from harness.figures.series import published_points
from harness.records.losses import main_loss
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.status import STATES, Status
from harness.tables.cells import Evidence

COPIED = (
    "status", "reason", "log_tail", "fingerprint", "fit_key", "counts", "data_digest", "data_notes", "weights_origin",
    "precision", "training", "commit", "dirty", "hardware", "libraries", "fit", "export", "date", "measures",
)  # fmt: skip


@dataclass
class Runs:
    """The runs of all tables, each once; image names are shared by all runs on the same images."""

    plan: Plan
    tables: Mapping[str, Mapping[str, Any]]
    evidence: Evidence = field(init=False)
    ids: dict[str, tuple[Cell, Status]] = field(default_factory=dict)
    image_sets: list[list[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.evidence = Evidence(self.plan)
        self._sets: dict[str, int] = {}
        self._points = published_points(self.tables)

    def of_table(self, table: Mapping[str, Any]) -> list[list[str]]:
        """Return the ids of the runs behind each cell of a table of numbers, row by row."""
        return [
            [self._add(*key) for key in self._behind(table, row, column)]
            for row in table["rows"]
            for column in table["columns"]
        ]

    def _behind(
        self, table: Mapping[str, Any], row: Mapping[str, Any], column: Mapping[str, Any]
    ) -> Iterator[tuple[str, str, str, int]]:
        line, place = (row, column) if table["kind"] == "classes" else (column, row)
        if line["method"] is None or line["dataset"] is None:
            return
        known = self.plan.categories(line["dataset"])
        names = list(known) if place["reduced"] else [name for name in [place["id"]] if name in known]
        for name in names:
            for seed in self.evidence.seeds:
                yield line["dataset"], name, line["method"], seed

    def _add(self, dataset: str, category: str, method: str, seed: int) -> str:
        cell = self.plan.cell(dataset, category, method, seed)
        name = f"{cell.source}/{category}/{method}/seed{seed}"
        if name not in self.ids:
            self.ids[name] = (cell, self.evidence.status(dataset, category, method, seed))
        return name

    def coverage(self) -> list[dict[str, Any]]:
        """Return how many runs are in which state, by dataset."""
        counts: dict[str, dict[str, int]] = {}
        for cell, evidence in self.ids.values():
            counts.setdefault(cell.source, dict.fromkeys(STATES, 0))[evidence.state] += 1
        datasets = self.plan.datasets
        return [{"id": source, "title": datasets[source].title, **states} for source, states in counts.items()]

    def reasons(self) -> list[dict[str, Any]]:
        """Return why there are numbers missing: each state and reason with its runs, the most frequent first."""
        found: dict[tuple[str, str], list[str]] = {}
        for name, (_, evidence) in self.ids.items():
            if not evidence.believed and evidence.state != "not_applicable":
                found.setdefault((evidence.state, evidence.reason or ""), []).append(name)
        order = sorted(found.items(), key=lambda item: (item[0][0] != "failed", -len(item[1])))
        return [{"state": state, "reason": reason, "runs": runs} for (state, reason), runs in order]

    def content(self) -> dict[str, dict[str, Any]]:
        """Return what the page holds of every run, by id."""
        return {name: self._run(cell, evidence) for name, (cell, evidence) in self.ids.items()}

    def _run(self, cell: Cell, evidence: Status) -> dict[str, Any]:
        about = self.plan.methods[cell.method]
        run: dict[str, Any] = {
            "dataset": self.plan.datasets[cell.source].title,
            "category": self.plan.categories(cell.dataset)[cell.category].title,
            "method": about.title,
            "seed": cell.seed,
            "state": evidence.state,
            "reason": evidence.reason,
            "path": evidence.path,
            "command": rebuild_command(cell.record.as_posix()),
            "published": self._points.get((cell.method, cell.category), []),
        }
        if evidence.record is None:
            return run
        record = evidence.record
        policy = about.threshold
        losses = main_loss(record.losses)
        content = record.content()
        shown = {key: content[key] for key in COPIED if key in content}
        return run | {
            "record": shown,
            "policy": policy,
            "losses": losses,
            **self._curve(record),
            **self._images(record),
        }

    @staticmethod
    def _curve(record: Record) -> dict[str, Any]:
        curve = record.curve
        return {} if curve is None else {"curve": [_short(curve["thresholds"]), _short(curve["iou"])]}

    def _images(self, record: Record) -> dict[str, Any]:
        rows = record.images
        names = [[row.id, row.label, int(row.anomalous)] for row in rows]
        number = self._sets.setdefault(repr(names), len(self.image_sets))
        if number == len(self.image_sets):
            self.image_sets.append(names)
        columns = {name: _short([getattr(row, name) for row in rows]) for name in ("score", "iou")}
        return {"images": number, **columns}


def _short(values: list[float | None]) -> list[float | None]:
    """Return values with four digits: the page is for the eye, the record has all of them."""
    return [None if value is None else float(f"{value:.4g}") for value in values]
