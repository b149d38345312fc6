"""Which numbers a table lacks, and why: exactly the missing runs, folded so that they can be read."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

from harness.tables.cells import Evidence
from harness.tables.layout import Layout
from harness.tables.provenance import Key, evidence_of

MISSING = ("stale", "not_measured", "unavailable", "failed")
K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


def missing(evidence: Evidence, table: Layout) -> list[dict[str, Any]]:
    """Return why numbers are missing, each reason once, with the runs that it concerns in groups."""
    found: dict[tuple[str, str], list[Key]] = {}
    for key, status in evidence_of(evidence, table):
        if status.state in MISSING:
            found.setdefault((status.state, status.reason or ""), []).append(key)
    return [
        {"state": state, "reason": reason, "count": len(keys), "groups": _groups(evidence, keys)}
        for (state, reason), keys in found.items()
    ]


def _groups(evidence: Evidence, keys: Iterable[Key]) -> list[dict[str, Any]]:
    """Return groups of runs: each of a group's methods lacks each of its categories with each of its seeds."""
    stand_in = evidence.plan.stand_in
    places = [((method, f"{stand_in(dataset)}/{name}"), seed) for dataset, name, method, seed in keys]
    alike = _folded(((method, seeds), place) for (method, place), seeds in _folded(places).items())
    whole = _folded(((where, seeds), method) for (method, seeds), where in alike.items())
    return [
        {"methods": list(methods), "categories": list(where), "seeds": list(seeds)}
        for (where, seeds), methods in whole.items()
    ]


def _folded(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    """Return the values of each key, in their order, each once (two data sets may have one stand-in)."""
    found: dict[K, dict[V, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}
