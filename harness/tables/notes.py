"""Captions, notes and footnotes: what a reader must know to read the numbers rightly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.cell import Protocol
from harness.tables.budget import caveat, reduced
from harness.tables.cells import Evidence
from harness.tables.layout import Head, Layout
from harness.tables.provenance import coverage, machines, used_records
from harness.tables.spec import footnotes, series

ORACLE = "†"
ORACLE_TEXT = (
    "Oracle: the threshold is the best one on the test images themselves, which no user could know; "
    "left out of the ranking."
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
STATE_WORDS = {
    "measured": "measured in this build",
    "recorded": "accepted records",
    "stale": "stale",
    "not_measured": "not measured",
    "unavailable": "unavailable",
    "failed": "failed",
}


class Notes:
    """Writes the texts around one table."""

    def __init__(self, evidence: Evidence, spec: Mapping[str, Any], table: Layout, cells: list[list[dict[str, Any]]]):
        self.evidence, self.spec, self.table, self.cells = evidence, spec, table, cells
        self.used = [record for _, _, record in used_records(evidence, table)]
        self.foreign = any(dataset["stand_in"] for dataset in self.datasets())
        self.texts = footnotes(spec, published=not self.foreign)
        keys = dict.fromkeys(key for entry in series(spec) for key in entry.get("footnotes", []) if key in self.texts)
        self.letters = dict(zip(keys, LETTERS, strict=False))

    def caption(self) -> str:
        """Return the caption: what is shown, under which protocol, on which data, and what that does not say."""
        protocol = self.evidence.plan.protocol
        sizes = dict.fromkeys(_size(protocol, dataset["id"]) for dataset in self.datasets())
        data = f" Other data than the paper's: {'; '.join(self._instead())}." if self.foreign else ""
        about = f"{_sentence(protocol.title)}, {' and '.join(sizes)} pixels.{data}{self._machine()}"
        return f"{self.spec['caption']} {about}{caveat(reduced=reduced(protocol))}"

    def _instead(self) -> list[str]:
        """Return what is used instead of the paper's data; the two class protocols of one painting are named once."""
        found: dict[str, str] = {}
        for dataset in self.datasets():
            entry = self.evidence.plan.datasets[dataset["used"]]
            key = entry.painter or dataset["used"]
            if dataset["stand_in"] and (key not in found or entry.class_protocol == "one_class"):
                found[key] = _stand_in(dataset)
        return list(found.values())

    def datasets(self) -> list[dict[str, Any]]:
        """Return the table's data sets, each with what stands in for it."""
        plan = self.evidence.plan
        named = [self.spec.get("dataset"), *(entry.get("dataset") for entry in series(self.spec))]
        found = []
        for dataset in dict.fromkeys(name for name in named if name is not None):
            used = plan.stand_in(dataset)
            stand_in = None if used == dataset else plan.datasets[used].title
            title = plan.datasets[dataset].title
            found.append({"id": dataset, "title": title, "used": used, "stand_in": stand_in})
        return found

    def sentences(self) -> list[str]:
        """Return what else the reader must know, one sentence a line."""
        beside = "Small: the published number, and the difference (reproduced minus published)."
        foreign = "The published numbers belong to other data and are not shown here."
        lines = [foreign if self.foreign else beside, self._coverage(), self._seen(), self._weights(), *self._data()]
        return [line for line in lines if line]

    def _data(self) -> list[str]:
        """Return what the records say of their data: what is lossy, lost, without masks or twice there."""
        said: dict[str, dict[str, None]] = {}
        for (dataset, category, *_), _, record in used_records(self.evidence, self.table):
            for note in record.data_notes:
                said.setdefault(note, {})[f"{self.evidence.plan.stand_in(dataset)}/{category}"] = None
        return [f"Data of {_few(list(places))}: {note}." for note, places in said.items()]

    def _coverage(self) -> str:
        counts = coverage(self.evidence, self.table)
        total = sum(counts.values()) - counts["not_applicable"]
        parts = [f"{counts[state]} {word}" for state, word in STATE_WORDS.items() if counts[state]]
        seeds = self.evidence.seeds
        which = f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over seeds {', '.join(map(str, seeds))}"
        return f"{total} run{'s' if total != 1 else ''} ({which}): {', '.join(parts) or 'none applicable'}."

    def _seen(self) -> str:
        seen = sorted({int(record.training.get("images_seen") or 0) for record in self.used} - {0})
        if not seen:
            return ""
        amount = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
        return f"Each training saw {amount} images (with repetition)."

    def _weights(self) -> str:
        methods = self.evidence.plan.methods
        origins: dict[str, dict[str, None]] = {}
        for record in self.used:
            origins.setdefault(record.weights_origin, {})[methods[record.method].title] = None
        if len(origins) == 1:
            return f"Initial weights: {next(iter(origins))} (all methods)."
        parts = [f"{origin} ({', '.join(titles)})" for origin, titles in sorted(origins.items())]
        return f"Initial weights: {'; '.join(parts)}." if parts else ""

    def _machine(self) -> str:
        timed = any("hours" in str(head.entry.get("measure")) for head in self.table.rows)
        names = machines(self.evidence, self.table)
        return f" The reproduced hours were measured on {' / '.join(names)}." if timed and names else ""

    def footnotes(self) -> list[dict[str, str]]:
        """Return marks and texts, the oracle's first."""
        oracle = any(cell["oracle"] for row in self.cells for cell in row)
        listed = [{"mark": mark, "text": " ".join(self.texts[key].split())} for key, mark in self.letters.items()]
        return [*([{"mark": ORACLE, "text": ORACLE_TEXT}] if oracle else []), *listed]

    def marks(self, head: Head, axis: str) -> list[str]:
        """Return the footnote marks of a method's row or column."""
        letters = [self.letters[key] for key in head.entry.get("footnotes", []) if key in self.letters]
        return [*([ORACLE] if any(cell["oracle"] for cell in self._line(head, axis)) else []), *letters]

    def policy(self, head: Head, axis: str) -> str | None:
        """Return the threshold policy of a method's row or column; None when there is none or more than one."""
        policies = {cell["policy"] for cell in self._line(head, axis)} - {None}
        return policies.pop() if len(policies) == 1 else None

    def _line(self, head: Head, axis: str) -> Sequence[dict[str, Any]]:
        if axis == "row":
            return self.cells[self.table.rows.index(head)]
        column = self.table.columns.index(head)
        return [row[column] for row in self.cells]


def _few(names: list[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _stand_in(dataset: Mapping[str, Any]) -> str:
    """Return what is used instead; the titles of stand-ins may say themselves what they stand in for."""
    title, instead = str(dataset["title"]), str(dataset["stand_in"])
    told = title in instead or instead.startswith("stand-in for")
    return instead if told else f"{instead} in place of {title}"


def _size(protocol: Protocol, dataset: str) -> str:
    side = protocol.datasets[dataset].size
    return f"{side} × {side}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
