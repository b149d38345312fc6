"""One cell: what the records say to its question, seed by seed, and why there is no number where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev

from harness.cell import Cell
from harness.metrics.measures import MEASURES
from harness.metrics.results import Measured
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.status import Status, status
from harness.tables.layout import Query
from harness.tables.table import TableCell
from harness.tables.yardsticks import Values, measured_here

WORST_FIRST = ("failed", "unavailable", "not_measured", "stale", "measured", "recorded", "not_applicable")


@dataclass(frozen=True)
class Reading:
    """What one record says to a question."""

    state: str
    reason: str | None
    status: Status
    answer: Measured | None = None

    @property
    def value(self) -> float | None:
        """Return the number, believed or not."""
        return None if self.answer is None else self.answer.value

    @property
    def believed(self) -> bool:
        """Whether there is a number and it counts."""
        return self.value is not None and self.state in ("measured", "recorded")


class Evidence:
    """The plan's evidence, asked for once per cell: several tables and several measures read the same record."""

    def __init__(self, plan: Plan, decide: Callable[[Plan, Cell], Status] = status) -> None:
        self.plan, self._decide = plan, decide
        self._known: dict[tuple[str, str, str, int], Status] = {}
        self._yardsticks: dict[tuple[str, str], Values] = {}

    def status(self, dataset: str, category: str, method: str, seed: int) -> Status:
        """Return the state of one cell."""
        key = (dataset, category, method, seed)
        if key not in self._known:
            found = self._decide(self.plan, self.plan.cell(*key))
            # A reason stands beside its state: it need not repeat it.
            reason = None if found.reason is None else found.reason.removeprefix(f"{found.state}: ")
            self._known[key] = replace(found, reason=reason)
        return self._known[key]

    def seeds(self, query: Query) -> tuple[int, ...]:
        """Return the seeds that a query's method is measured with."""
        return self.plan.seeds(query.dataset, query.method)

    def yardsticks(self, dataset: str, category: str) -> Values:
        """Return the yardsticks of a category's data: measured here, or beside one of the records asked for so far."""
        key = (dataset, category)
        if not self._yardsticks.get(key):
            beside = (
                getattr(s.record, "yardsticks", None) for k, s in self._known.items() if k[:2] == key and s.record
            )
            found = measured_here(self.plan, dataset, category) or next(filter(None, beside), None)
            self._yardsticks[key] = found or {}
        return self._yardsticks[key]

    def yardstick(self, query: Query, name: str) -> float | None:
        """Return what a yardstick reaches at a query's measure, reduced as it is; None where a category lacks it."""
        values = [self.yardsticks(query.dataset, c).get(name, {}).get(query.measure) for c in query.categories]
        there = [value for value in values if value is not None]
        return fmean(there) if there and len(there) == len(values) else None

    def policy(self, query: Query) -> str | None:
        """Return the threshold policy that picks the query's number; None for measures without a threshold."""
        kind = MEASURES[query.measure].threshold
        return None if kind is None else query.policy or getattr(self.plan.methods[query.method], kind)

    def read(self, query: Query, category: str, seed: int) -> Reading:
        """Return what the record of one category and seed says to the query."""
        about = self.plan.methods[query.method]
        found = self.status(query.dataset, category, query.method, seed)
        if MEASURES[query.measure].maps and "maps" not in about.gives:
            return Reading("not_applicable", "the method gives no anomaly maps", found)
        if found.record is None or found.state in ("failed", "not_applicable"):
            return Reading(found.state, found.reason, found)
        if found.record.flaw is not None:
            return Reading("unavailable", found.record.flaw, found)
        answer = measured(found.record, query.measure, self.policy(query))
        if answer.value is None:
            return Reading("unavailable", answer.note, found)
        return Reading(found.state, found.reason, found, answer)


def resolve(evidence: Evidence, query: Query | None) -> TableCell:
    """Return the content of one cell."""
    if query is None:
        return TableCell(state="not_applicable")
    if query.yardstick:
        value = evidence.yardstick(query, query.method)
        state, reason = ("not_measured", "no yardsticks of these data") if value is None else ("measured", None)
        return TableCell(state=state, reason=reason, measure=query.measure, reproduced=value)
    seeds = evidence.seeds(query)
    readings = [[evidence.read(query, category, seed) for category in query.categories] for seed in seeds]
    cell = _reduced(readings, query) if query.reduced else _single([row[0] for row in readings], seeds)
    used = [r.status for row in readings for r in row if r.status.record is not None and r.state != "not_applicable"]
    records = [found.record for found in used if found.record is not None]
    policy = evidence.policy(query)
    return replace(
        cell,
        measure=query.measure,
        policy=policy,
        oracle=policy == "best_on_test",
        weights_origin=tuple(sorted({record.weights_origin for record in records})),
        records=tuple(found.path for found in used if found.path),
        fingerprints=tuple(record.fingerprint for record in records),
    )


def _single(readings: Sequence[Reading], seeds: Sequence[int]) -> TableCell:
    """Return the mean over seeds; a mean with a missing seed is not printed."""
    values = tuple(reading.value for reading in readings if reading.believed and reading.value is not None)
    cell = replace(_worst(readings, seeds), n_seeds=len(values), values=values)
    if len(values) == len(readings):
        return _with_extras(_with_centre(cell, values), readings)
    old = [reading.value for reading in readings if reading.value is not None]
    return replace(cell, stale=fmean(old) if len(old) == len(readings) else None)


def _reduced(readings: Sequence[Sequence[Reading]], query: Query) -> TableCell:
    """Return the mean or sum over categories, seed by seed; blank and counted where one category is missing."""
    columns = list(zip(query.categories, zip(*readings, strict=True), strict=True))
    applied = [(name, column) for name, column in columns if any(r.state != "not_applicable" for r in column)]
    if not applied:
        return TableCell(state="not_applicable", reason=readings[0][0].reason if readings[0] else None)
    holes = [name for name, column in applied if not all(reading.believed for reading in column)]
    count = (len(applied) - len(holes), len(applied))
    if holes:
        return TableCell(state="incomplete", reason=_holes(holes, count), count=count)
    reduce = sum if MEASURES[query.measure].reduce == "sum" else fmean
    values = tuple(float(reduce([column[i].value or 0.0 for _, column in applied])) for i in range(len(readings)))
    fresh = any(reading.state == "measured" for _, column in applied for reading in column)
    cell = TableCell(state="measured" if fresh else "recorded", n_seeds=len(values), values=values, count=count)
    return _with_centre(cell, values)


def _with_centre(cell: TableCell, values: Sequence[float]) -> TableCell:
    return replace(cell, reproduced=fmean(values), spread=stdev(values) if len(values) > 1 else None)


def _with_extras(cell: TableCell, readings: Sequence[Reading]) -> TableCell:
    """Return the cell with what is only meant for one seed: the bootstrap interval, and the threshold of all seeds."""
    answers = [reading.answer for reading in readings if reading.answer is not None]
    thresholds = {answer.threshold for answer in answers}
    interval = answers[0].interval if len(answers) == 1 else None
    return replace(cell, threshold=thresholds.pop() if len(thresholds) == 1 else None, interval=interval)


def _worst(readings: Sequence[Reading], seeds: Sequence[int]) -> TableCell:
    """Return a cell with the worst state of its seeds, and the reason; with several seeds the reason names the seed."""
    index = min(range(len(readings)), key=lambda i: WORST_FIRST.index(readings[i].state))
    state, reason = readings[index].state, readings[index].reason
    if len(seeds) > 1 and state in WORST_FIRST[:4]:
        done = sum(reading.believed for reading in readings)
        reason = f"{done} of {len(seeds)} seeds; seed {seeds[index]}: {reason}"
    return TableCell(state=state, reason=reason)


def _holes(names: Sequence[str], count: tuple[int, int]) -> str:
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"{count[0]} of {count[1]} categories; missing: {shown}"


def measured(record: Record, name: str, policy: str | None) -> Measured:
    """Return one number of a record; its value is None, and its note says why, where there is none."""
    about = MEASURES[name]
    if about.cost is not None:
        return Measured(name, policy, None, getattr(record, about.cost).seconds / about.unit)
    found = record.measure(name, policy)
    if found is None:
        return Measured(
            name, policy, None, None, f"the record has no {name if policy is None else f'{name} at {policy}'}"
        )
    return replace(found, note=found.note or f"the record gives no value for {name}")
