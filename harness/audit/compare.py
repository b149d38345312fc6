"""Records beside records: two of one cell, two folders of them cell by cell, and two methods or folders as a whole.

Cell by cell the yardstick is chance. For one measure of one cell with several seeds: the difference of the means over
the common seeds against the larger standard deviation over seeds; with one seed, whether each value lies outside the
other's 95 % bootstrap interval over test images. Without either, a difference is named and not judged. As a whole,
differences are paired over seeds and images (`harness.audit.paired`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from harness.audit.paired import Paired, Sample, Where, compare
from harness.audit.samples import sample_of
from harness.cell import Method
from harness.metrics.measures import MEASURES
from harness.metrics.results import Measured
from harness.records.reading import records_below
from harness.records.record import Record

Place = tuple[str, str, str, str]
Seeds = dict[int, Record]
SAME, WITHIN, OUTSIDE, UNJUDGED = "same", "within", "outside", "not judged"


@dataclass(frozen=True)
class Difference:
    """One measure of one cell on two sides."""

    place: Place
    machines: tuple[str, str]
    measure: str
    before: float | None
    after: float | None
    verdict: str
    yardstick: str
    same_sources: bool

    @property
    def line(self) -> str:
        """Return the difference as one line."""
        numbers = " → ".join("none" if value is None else f"{value:.6f}" for value in (self.before, self.after))
        sources = "same sources" if self.same_sources else "other sources"
        return f"{'/'.join(self.place)} {self.measure}: {numbers}, {self.verdict} {self.yardstick} ({sources})"


def read_folder(folder: Path) -> dict[Place, Seeds]:
    """Return the measured records of a folder by cell and seed. Raises EvidenceError for a folder without records."""
    found: dict[Place, Seeds] = {}
    for _, record in records_below(folder):
        if record.status == "measured":
            found.setdefault(record.cell[:4], {})[record.seed] = record
    return found


def differences(before: Mapping[Place, Seeds], after: Mapping[Place, Seeds]) -> Iterator[Difference]:
    """Yield every measure of every cell that both sides have, with its verdict."""
    for place in before:
        common = sorted(before[place].keys() & after.get(place, {}).keys())
        if not common:
            continue
        left, right = ([side[place][seed] for seed in common] for side in (before, after))
        machines = _machines(left), _machines(right)
        same = all(a.fingerprint == b.fingerprint for a, b in zip(left, right, strict=True))
        names = dict.fromkeys(name for record in (*left, *right) for name in _entries(record))
        for name in names:
            yield _difference(place, machines, name, left, right, same)


def _difference(
    place: Place,
    machines: tuple[str, str],
    name: str,
    left: list[Record],
    right: list[Record],
    same: bool,
) -> Difference:
    a, b = ([_entries(record).get(name) for record in side] for side in (left, right))
    before, after = ([None if entry is None else entry.value for entry in side] for side in (a, b))
    known = [[value for value in side if value is not None] for side in (before, after)]
    if before == after:
        verdict, yardstick = SAME, ""
    elif len(known[0]) < len(before) or len(known[1]) < len(after):
        verdict, yardstick = OUTSIDE, "for one side has no value"
    elif len(before) > 1:
        verdict, yardstick = _over_seeds(*known)
    else:
        verdict, yardstick = _over_images(a[0], b[0])
    return Difference(place, machines, name, _mean(before), _mean(after), verdict, yardstick, same)


def _over_seeds(before: list[float], after: list[float]) -> tuple[str, str]:
    spread = max(stdev(before), stdev(after))
    verdict = OUTSIDE if abs(fmean(after) - fmean(before)) > spread else WITHIN
    return verdict, f"the spread of {len(before)} seeds, {spread:.6f}"


def _over_images(before: Measured | None, after: Measured | None) -> tuple[str, str]:
    assert before is not None
    assert after is not None
    pairs = ((before.interval, after.value), (after.interval, before.value))
    inside = [
        low <= value <= high for interval, value in pairs if interval and value is not None for low, high in [interval]
    ]
    if not inside:
        return UNJUDGED, "for want of seeds and of an interval"
    return (WITHIN if any(inside) else OUTSIDE), "the 95 % interval over test images"


def _entries(record: Record) -> dict[str, Measured]:
    return {measure.label: measure for measure in record.measures}


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def _machines(records: list[Record]) -> str:
    return " and ".join(sorted({record.hardware.line for record in records}))


# two records of one cell


@dataclass(frozen=True)
class Change:
    """One measure before and after; None where there is no value."""

    measure: str
    before: float | None
    after: float | None

    @property
    def line(self) -> str:
        """Return the change as one line."""
        both = self.before is not None and self.after is not None
        difference = f" ({(self.after or 0.0) - (self.before or 0.0):+.6f})" if both else ""
        return f"{self.measure}: {_number(self.before)} → {_number(self.after)}{difference}"


def values(record: Record) -> dict[str, float | None]:
    """Return a record's values by measure and policy."""
    return {measure.label: measure.value for measure in record.measures}


def changes(before: Record, after: Record) -> list[Change]:
    """Return the measures whose values differ between two records, in the order in which they are listed."""
    old, new = values(before), values(after)
    names = dict.fromkeys([*old, *new])
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6f}"


# methods, or folders, as a whole


@dataclass(frozen=True)
class Whole:
    """One measure of two sides on all that both have; `where` is protocol/dataset, and the method of two folders."""

    where: str
    measure: str
    paired: Paired


Data = tuple[str, str]
"""Protocol and dataset."""
OfMeasures = dict[str, dict[Where, Sample]]


def method_samples(found: Mapping[Place, Seeds], method: Method) -> dict[Data, OfMeasures]:
    """Return a method's numbers by data and measure, each at the method's own threshold."""
    samples: dict[Data, OfMeasures] = {}
    for (protocol, dataset, category, name), seeds in found.items():
        if name != method.id:
            continue
        mine = samples.setdefault((protocol, dataset), {})
        for seed, record in seeds.items():
            for measure, sample in _samples(record, method):
                mine.setdefault(measure, {})[category, seed] = sample
    return samples


def _samples(record: Record, method: Method) -> Iterator[tuple[str, Sample]]:
    for number in record.measures:
        about = MEASURES.get(number.name)
        if about is None or number.value is None:
            continue
        if about.threshold is None or number.policy == getattr(method, about.threshold):
            yield about.id, sample_of(record, about, number.value, number.interval, own=True)


def wholes(left: Mapping[Data, OfMeasures], right: Mapping[Data, OfMeasures], of: str = "") -> Iterator[Whole]:
    """Yield the paired comparison of every measure on all data that both sides have; `of` names what both are."""
    for data in (data for data in left if data in right):
        for measure, samples in left[data].items():
            paired = compare(samples, right[data].get(measure, {}))
            if paired is not None:
                yield Whole("/".join(filter(None, (*data, of))), MEASURES[measure].id, paired)
