"""Captions, notes and footnotes: what a reader must know to read the numbers rightly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.records.plan import Plan
from harness.records.trained import images_seen
from harness.tables.cells import Evidence
from harness.tables.layout import Layout
from harness.tables.nearest import nearest_series
from harness.tables.provenance import coverage, machines, used_records
from harness.tables.table import DatasetUse, Footnote, Head, TableCell
from harness.tables.view import state_word

ORACLE = "†"
ORACLE_TEXT = (
    "Oracle: the threshold is the best one on the test images themselves, which no user could know; "
    "not ranked with others."
)
YARDSTICKS = (
    "Yardsticks have learnt nothing, or everything (best map: drawn from the masks), at their best threshold; they are "
    "not ranked. Grey numbers are not above what finding nothing gives: every pixel marked, or a coin."
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Notes:
    """Writes the texts around one table; `cells` series by series, `whole` with the series that are not shown."""

    def __init__(self, evidence: Evidence, table: Layout, cells: Sequence[Sequence[TableCell]], whole: Layout):
        self.evidence, self.table, self.cells, self.whole = evidence, table, cells, whole
        self.spec, self.plan = table.spec, evidence.plan
        self.used = [record for _, _, record in used_records(evidence, table)]
        self.datasets = tuple(_use(self.plan, dataset) for dataset in self.spec.datasets)
        neutral = "{data}" in self.spec.title  # names whatever data it is made on, and has no printed numbers
        self.foreign = any(dataset.stand_in for dataset in self.datasets) and not neutral
        self.texts = {**({} if self.foreign else self.spec.published_footnotes), **self.spec.footnotes}
        keys = dict.fromkeys(key for entry in self.spec.series or () for key in entry.footnotes if key in self.texts)
        self.letters = dict(zip(keys, LETTERS, strict=False))

    def title(self) -> str:
        """Return the table's title; a table for one's own data names these."""
        title = self.spec.title
        return title.format(data=" and ".join(dict.fromkeys(self.plan.datasets[d.used].title for d in self.datasets)))

    def caption(self) -> str:
        """Return the caption: what is shown, under which protocol and on which data."""
        sizes = dict.fromkeys(self.plan.protocol.datasets[dataset.id].size for dataset in self.datasets)
        data = f" Other data than the paper's: {'; '.join(self._instead())}." if self.foreign else ""
        title = self.plan.protocol.title
        pixels = " and ".join(f"{side} × {side}" for side in sizes)
        return f"{' '.join(self.spec.caption.split())} {title[:1].upper()}{title[1:]}, {pixels} pixels.{data}"

    def _instead(self) -> list[str]:
        """Return what is used instead of the paper's data; the two class protocols of one painting are named once."""
        found: dict[str, str] = {}
        for dataset in self.datasets:
            entry = self.plan.datasets[dataset.used]
            key = entry.painter or dataset.used
            if dataset.stand_in and (key not in found or entry.class_protocol == "one_class"):
                told = dataset.title in dataset.stand_in or dataset.stand_in.startswith("stand-in for")
                found[key] = dataset.stand_in if told else f"{dataset.stand_in} in place of {dataset.title}"
        return list(found.values())

    def sentences(self) -> tuple[str, ...]:
        """Return what else the reader must know, one sentence a line."""
        foreign = "The published numbers belong to other data and are not shown here." if self.foreign else ""
        beside = [cells for line, cells in zip(self.table.series, self.cells, strict=True) if line.series is None]
        known = any(cell.reproduced is not None for cells in beside for cell in cells)
        lines = [foreign, YARDSTICKS if known else "", self._coverage(), self._seen(), self._weights(), self._machine()]
        lines += [*nearest_series(self.table, self.cells), *self._data()]
        return tuple(line for line in lines if line)

    def _data(self) -> list[str]:
        """Return what the records say of their data: what is lossy, lost, without masks or twice there."""
        said: dict[str, dict[str, None]] = {}
        for (dataset, category, *_), _, record in used_records(self.evidence, self.table):
            for note in record.data_notes:
                said.setdefault(note, {})[f"{self.plan.stand_in(dataset)}/{category}"] = None
        return [f"Data of {_few(list(places))}: {note}." for note, places in said.items()]

    def _coverage(self) -> str:
        counts = coverage(self.evidence, self.whole)
        total = sum(counts.values()) - counts["not_applicable"]
        parts = [f"{n} {state_word(state, n)}" for state, n in counts.items() if n and state != "not_applicable"]
        return f"{total} run{'s' if total != 1 else ''} ({self._seeds()}): {', '.join(parts) or 'none applicable'}."

    def _seeds(self) -> str:
        """Return the seeds of the table's methods: those of most, and which methods have others."""
        found: dict[tuple[int, ...], dict[str, None]] = {}
        for query in self.whole.asked():
            found.setdefault(self.evidence.seeds(query), {})[self.plan.methods[query.method].title] = None
        usual, *others = sorted(found, key=lambda seeds: -len(found[seeds])) or [self.plan.protocol.seeds]
        return "; ".join([seeds_text(usual), *(f"{', '.join(found[seeds])}: {seeds_text(seeds)}" for seeds in others)])

    def _seen(self) -> str:
        seen = sorted({seen for record in self.used if (seen := images_seen(record)) is not None})
        if not seen:
            return ""
        amount = f"{seen[0]:,}" if len(seen) == 1 else f"{seen[0]:,} to {seen[-1]:,}"
        return f"Each training saw {amount} images (with repetition)."

    def _weights(self) -> str:
        origins: dict[str, dict[str, None]] = {}
        for record in self.used:
            origins.setdefault(record.weights_origin, {})[self.plan.methods[record.method].title] = None
        if len(origins) == 1:
            return f"Initial weights: {next(iter(origins))} (all methods)."
        parts = [f"{origin} ({', '.join(titles)})" for origin, titles in sorted(origins.items())]
        return f"Initial weights: {'; '.join(parts)}." if parts else ""

    def _machine(self) -> str:
        timed = any(str(line.head.measure).endswith(("hours", "seconds")) for line in self.table.positions)
        names = machines(self.evidence, self.table) if timed else ()
        return f"Times were measured on {' / '.join(names)}." if names else ""

    def footnotes(self) -> tuple[Footnote, ...]:
        """Return marks and texts, the oracle's first."""
        oracle = any(cell.oracle for cells in self.cells for cell in cells)
        listed = [Footnote(mark, " ".join(self.texts[key].split())) for key, mark in self.letters.items()]
        return (*([Footnote(ORACLE, ORACLE_TEXT)] if oracle else []), *listed)

    def head(self, number: int) -> Head:
        """Return the head of a series with its marks, and its threshold policy where there is just one."""
        line, cells = self.table.series[number], self.cells[number]
        keys = line.series.footnotes if line.series else ()
        letters = [self.letters[key] for key in keys if key in self.letters]
        policies = {cell.policy for cell in cells} - {None}
        marks = (*([ORACLE] if policies == {"best_on_test"} else []), *letters)
        return replace(line.head, footnotes=marks, policy=policies.pop() if len(policies) == 1 else None)


def seeds_text(seeds: Sequence[int]) -> str:
    """Return what a number is over: one seed, or the mean over several."""
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"mean over seeds {', '.join(map(str, seeds))}"


def _few(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _use(plan: Plan, dataset: str) -> DatasetUse:
    used = plan.stand_in(dataset)
    stand_in = None if used == dataset else plan.datasets[used].title
    return DatasetUse(id=dataset, title=plan.datasets[dataset].title, used=used, stand_in=stand_in)
