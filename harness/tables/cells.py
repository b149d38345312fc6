"""One cell: what the records say to its question, seed by seed, and why there is no number where there is none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from harness.cell import Cell
from harness.metrics.measures import MEASURES
from harness.metrics.results import Measured
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.status import Status, status
from harness.tables.layout import Query

WORST_FIRST = ("failed", "unavailable", "not_measured", "stale", "measured", "recorded", "not_applicable")


@dataclass(frozen=True)
class Reading:
    """What one record says to a question."""

    state: str
    reason: str | None
    value: float | None
    status: Status
    threshold: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def believed(self) -> bool:
        """Whether there is a number and it counts."""
        return self.value is not None and self.state in ("measured", "recorded")


class Evidence:
    """The plan's evidence, asked for once per cell: several tables and several measures read the same record."""

    def __init__(self, plan: Plan, decide: Callable[[Plan, Cell], Status] = status) -> None:
        self.plan, self._decide = plan, decide
        self.seeds: list[int] = list(plan.protocol.seeds)
        self._known: dict[tuple[str, str, str, int], Status] = {}

    def status(self, dataset: str, category: str, method: str, seed: int) -> Status:
        """Return the state of one cell."""
        key = (dataset, category, method, seed)
        if key not in self._known:
            found = self._decide(self.plan, self.plan.cell(*key))
            # A reason stands beside its state: it need not repeat it.
            reason = None if found.reason is None else found.reason.removeprefix(f"{found.state}: ")
            self._known[key] = replace(found, reason=reason)
        return self._known[key]

    def policy(self, query: Query) -> str | None:
        """Return the threshold policy that picks the query's number; None for measures without a threshold."""
        kind = MEASURES[query.measure].threshold
        return None if kind is None else query.policy or getattr(self.plan.methods[query.method], kind)

    def read(self, query: Query, category: str, seed: int) -> Reading:
        """Return what the record of one category and seed says to the query."""
        about = self.plan.methods[query.method]
        status = self.status(query.dataset, category, query.method, seed)
        if MEASURES[query.measure].maps and "maps" not in about.gives:
            return Reading("not_applicable", "the method gives no anomaly maps", None, status)
        if status.record is None or status.state in ("failed", "not_applicable"):
            return Reading(status.state, status.reason, None, status)
        if status.record.flaw is not None:
            return Reading("unavailable", status.record.flaw, None, status)
        found = measured(status.record, query.measure, self.policy(query))
        if found.value is None:
            return Reading("unavailable", found.note, None, status)
        return Reading(status.state, status.reason, found.value, status, found.threshold, found.interval)


def resolve(evidence: Evidence, query: Query | None) -> dict[str, Any]:
    """Return the content of one cell, as the table's JSON holds it."""
    if query is None:
        return blank("not_applicable", None)
    readings = [[evidence.read(query, category, seed) for category in query.categories] for seed in evidence.seeds]
    cell = _reduced(readings, query) if query.reduced else _single([row[0] for row in readings], evidence.seeds)
    flat = [reading for row in readings for reading in row if reading.status.record is not None]
    used = [reading for reading in flat if reading.state != "not_applicable"]
    policy = evidence.policy(query)
    weights = sorted({reading.status.record.weights_origin for reading in used if reading.status.record})
    return cell | {
        "measure": query.measure,
        "policy": policy,
        "oracle": policy == "best_on_test",
        "weights_origin": weights,
        "records": [reading.status.path for reading in used if reading.status.path],
        "fingerprints": [reading.status.record.fingerprint for reading in used if reading.status.record],
    }


def blank(state: str, reason: str | None) -> dict[str, Any]:
    """Return a cell without a number."""
    empty = dict.fromkeys(("mean", "stale_mean", "spread", "interval", "threshold", "count", "measure", "policy"))
    lists: dict[str, Any] = {"weights_origin": [], "records": [], "fingerprints": [], "values": [], "n_seeds": 0}
    return {"state": state, "reason": reason, **empty, **lists, "oracle": False}


def _single(readings: Sequence[Reading], seeds: Sequence[int]) -> dict[str, Any]:
    """Return the mean over seeds; a mean with a missing seed is not printed."""
    values = [reading.value for reading in readings if reading.believed and reading.value is not None]
    cell = blank(*_worst(readings, seeds)) | {"n_seeds": len(values), "values": values}
    if len(values) == len(readings):
        return cell | _centre(values) | _extras(readings)
    old = [reading.value for reading in readings if reading.value is not None]
    return cell | {"stale_mean": fmean(old) if len(old) == len(readings) else None}


def _reduced(readings: Sequence[Sequence[Reading]], query: Query) -> dict[str, Any]:
    """Return the mean or sum over categories, seed by seed; blank and counted where one category is missing."""
    columns = list(zip(query.categories, zip(*readings, strict=True), strict=True))
    applied = [(name, column) for name, column in columns if any(r.state != "not_applicable" for r in column)]
    if not applied:
        return blank("not_applicable", readings[0][0].reason if readings[0] else None)
    holes = [(name, column) for name, column in applied if not all(reading.believed for reading in column)]
    count = [len(applied) - len(holes), len(applied)]
    if holes:
        return blank("incomplete", _holes(holes, count)) | {"count": count}
    reduce = sum if MEASURES[query.measure].reduce == "sum" else fmean
    values = [float(reduce([column[i].value or 0.0 for _, column in applied])) for i in range(len(readings))]
    fresh = any(reading.state == "measured" for _, column in applied for reading in column)
    cell = blank("measured" if fresh else "recorded", None)
    return cell | _centre(values) | {"n_seeds": len(values), "values": values, "count": count}


def _centre(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": fmean(values), "spread": stdev(values) if len(values) > 1 else None}


def _extras(readings: Sequence[Reading]) -> dict[str, Any]:
    """Return what is only meant for one seed: the bootstrap interval and the threshold that was used."""
    if len(readings) > 1:
        thresholds = {reading.threshold for reading in readings}
        return {"threshold": thresholds.pop() if len(thresholds) == 1 else None}
    interval = readings[0].interval
    return {"threshold": readings[0].threshold, "interval": None if interval is None else list(interval)}


def _worst(readings: Sequence[Reading], seeds: Sequence[int]) -> tuple[str, str | None]:
    """Return the state of a cell over its seeds, and the reason; with several seeds the reason names the seed."""
    index = min(range(len(readings)), key=lambda i: WORST_FIRST.index(readings[i].state))
    state, reason = readings[index].state, readings[index].reason
    if len(seeds) > 1 and state in WORST_FIRST[:4]:
        done = sum(reading.believed for reading in readings)
        reason = f"{done} of {len(seeds)} seeds; seed {seeds[index]}: {reason}"
    return state, reason


def _holes(holes: Sequence[tuple[str, Sequence[Reading]]], count: Sequence[int]) -> str:
    names = [name for name, _ in holes]
    shown = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return f"{count[0]} of {count[1]} categories; missing: {shown}"


def measured(record: Record, name: str, policy: str | None) -> Measured:
    """Return one number of a record; its value is None, and its note says why, where there is none."""
    cost = MEASURES[name].cost
    if cost is not None:
        return Measured(name, policy, None, getattr(record, cost).seconds / 3600)
    found = record.measure(name, policy)
    if found is None:
        return Measured(
            name, policy, None, None, f"the record has no {name if policy is None else f'{name} at {policy}'}"
        )
    return replace(found, note=found.note or f"the record gives no value for {name}")
