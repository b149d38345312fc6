"""Published beside reproduced: cell by cell, and a method's mean over the categories that have both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.audit.numbers import PublishedNumbers
from harness.audit.samples import Samples
from harness.metrics.measures import MEASURES
from harness.tables.spec import LayerSpec, load_numbers, load_table


@dataclass(frozen=True)
class Pair:
    """One number of the paper and the mean over seeds that was measured for it."""

    table: str
    series: str
    title: str
    position: str
    measure: str
    published: float
    reproduced: float
    yardstick: float | None


@dataclass(frozen=True)
class Gap:
    """A series' means over the categories that have both numbers, of `of` that are published.

    `seeds` are the reproduced means seed by seed, of the seeds that all these categories have; `oracle` says that the
    threshold behind the reproduced numbers has seen the test masks.
    """

    series: str
    title: str
    published: float
    reproduced: float
    yardstick: float | None
    categories: int
    of: int
    seeds: tuple[float, ...] = ()
    oracle: bool = False


def pairs(samples: Samples, table: str) -> list[Pair]:
    """Return every cell of a table that has both numbers."""
    spec, published = load_table(table), PublishedNumbers()
    if isinstance(spec, LayerSpec) or spec.published is None:
        return []
    found = []
    for name in (series.id for series in spec.series or ()):
        by_position: dict[str, list[tuple[float, float | None]]] = {}
        for (position, _), sample in samples.of(table, name).items():
            by_position.setdefault(position, []).append((sample.value, sample.yardstick))
        for position, values in by_position.items():
            number = published.value(table, name, position)
            if isinstance(number, float):
                found.append(_pair(samples, table, name, position, number, values))
    return found


def _pair(
    samples: Samples, table: str, name: str, position: str, number: float, values: list[tuple[float, float | None]]
) -> Pair:
    floors = [floor for _, floor in values if floor is not None]
    title, measure = samples.title(table, name), MEASURES[load_numbers(table).measure].title
    mean = fmean(value for value, _ in values)
    return Pair(table, name, title, position, measure, number, mean, fmean(floors) if floors else None)


def gaps(samples: Samples, table: str) -> list[Gap]:
    """Return the mean gap of every series of a table that has a pair, the paper's own methods first as in tables."""
    published = PublishedNumbers()
    by_series: dict[str, list[Pair]] = {}
    for pair in pairs(samples, table):
        by_series.setdefault(pair.series, []).append(pair)
    found = []
    for name, mine in sorted(by_series.items(), key=lambda entry: not samples.own(table, entry[0])):
        known = [published.value(table, name, position) for position in published.positions(table)]
        floors = [pair.yardstick for pair in mine if pair.yardstick is not None]
        means = fmean(pair.published for pair in mine), fmean(pair.reproduced for pair in mine)
        of = sum(isinstance(value, float) for value in known)
        floor, seeds = fmean(floors) if floors else None, _by_seed(samples, mine)
        found.append(Gap(name, mine[0].title, *means, floor, len(mine), of, seeds, samples.oracle(table, name)))
    return found


def _by_seed(samples: Samples, mine: Sequence[Pair]) -> tuple[float, ...]:
    """Return a series' mean over the categories of its pairs, one a seed that all of them have."""
    known = samples.of(mine[0].table, mine[0].series)
    names = [pair.position for pair in mine]
    seeds = sorted({seed for _, seed in known})
    common = [seed for seed in seeds if all((name, seed) in known for name in names)]
    return tuple(fmean(known[name, seed].value for name in names) for seed in common)


def all_pairs(samples: Samples, tables: Iterable[str]) -> list[Pair]:
    """Return the pairs of some tables, each published number of one series, position and measure once."""
    found: dict[tuple[str, str, str, float], Pair] = {}
    for table in tables:
        for pair in pairs(samples, table):
            found.setdefault((pair.title, pair.position, pair.measure, pair.published), pair)
    return list(found.values())
