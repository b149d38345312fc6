"""The numbers at the head of the verdict: what a method reaches where the paper prints what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.audit.claims import Check, Claim
from harness.audit.numbers import PublishedNumbers
from harness.audit.samples import Samples
from harness.tables.cells import Evidence


@dataclass(frozen=True)
class Headline:
    """A series' mean number over what was measured, and the printed one over the same categories.

    `data` is the dataset's title; `by_seed` holds the mean over the categories of each seed.
    """

    series: str
    data: str
    table: str
    protocol: str
    measured: float
    published: float
    yardstick: float | None
    categories: int
    of: int
    by_seed: tuple[float, ...]

    @property
    def seeds(self) -> int:
        """Return how many seeds there are."""
        return len(self.by_seed)


def headlines(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[Headline]:
    """Return the numbers that stand at the head: the left series of the claims marked so, where any is measured."""
    asked = [(check, series) for c in claims if c.headline for check in c.check for series in check.left]
    for samples in map(Samples, evidence):
        found = [_headline(check, series, samples) for check, series in asked]
        if any(found):
            return [head for head in found if head is not None]
    return []


def _headline(check: Check, series: str, samples: Samples) -> Headline | None:
    mine = samples.of(check.table, series)
    printed = PublishedNumbers()
    prints = {name: printed.value(check.table, series, name) for name in printed.positions(check.table)}
    known = {name: value for name, value in prints.items() if isinstance(value, float)}
    used = {place: sample for place, sample in mine.items() if place[0] in known}
    if not used:
        return None
    names = {name for name, _ in used}
    floors = [sample.yardstick for sample in used.values() if sample.yardstick is not None]
    seeds = {seed: [s.value for place, s in used.items() if place[1] == seed] for seed in sorted({s for _, s in used})}
    data = samples.plan.datasets[next(iter(samples.datasets(check.table, series)))].title
    return Headline(
        samples.title(check.table, series), data, check.table, samples.plan.protocol.title,
        sum(sample.value for sample in used.values()) / len(used), sum(known[name] for name in names) / len(names),
        sum(floors) / len(floors) if floors else None, len(names), len(known), tuple(map(fmean, seeds.values())),
    )  # fmt: skip
