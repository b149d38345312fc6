"""Which numbers a table lacks, and why: exactly the runs without one, folded so that they can be read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from itertools import product
from typing import TypeVar

from harness.tables.cells import Evidence, Reading
from harness.tables.layout import Layout
from harness.tables.provenance import Key, evidence_of
from harness.tables.table import Missing, MissingGroup

MISSING = ("stale", "not_measured", "unavailable", "failed")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


def missing(evidence: Evidence, table: Layout) -> tuple[Missing, ...]:
    """Return why numbers are missing, each reason once, with the runs that it concerns in groups."""
    found: dict[tuple[str, str], dict[Key, None]] = {}
    for key, status in evidence_of(evidence, table):
        if status.state in MISSING:
            found.setdefault((status.state, status.reason or ""), {})[key] = None
    for key, reading in _undefined(evidence, table):
        found.setdefault((reading.state, reading.reason or ""), {})[key] = None
    return tuple(
        Missing(state=state, reason=reason, count=len(keys), groups=_groups(evidence, keys))
        for (state, reason), keys in found.items()
    )


def _undefined(evidence: Evidence, table: Layout) -> Iterator[tuple[Key, Reading]]:
    """Yield the runs whose record is there and says that the number asked for does not exist: no masks, one class."""
    for query in table.asked():
        for category, seed in product(query.categories, evidence.seeds(query)):
            reading = evidence.read(query, category, seed)
            if reading.state == "unavailable" and reading.status.state not in MISSING:
                yield (query.dataset, category, query.method, seed), reading


def _groups(evidence: Evidence, keys: Iterable[Key]) -> tuple[MissingGroup, ...]:
    """Return groups of runs: each of a group's methods lacks each of its categories with each of its seeds."""
    stand_in = evidence.plan.stand_in
    places = [((method, f"{stand_in(dataset)}/{name}"), seed) for dataset, name, method, seed in keys]
    alike = _folded(((method, seeds), place) for (method, place), seeds in _folded(places).items())
    whole = _folded(((where, seeds), method) for (method, seeds), where in alike.items())
    return tuple(MissingGroup(methods=each, categories=where, seeds=seeds) for (where, seeds), each in whole.items())


def _folded(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    """Return the values of each key, in their order, each once (two data sets may have one stand-in)."""
    found: dict[K, dict[V, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}
