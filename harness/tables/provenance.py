"""What a table rests on: its records, how much of it is there, and on which machines."""

from __future__ import annotations

from collections.abc import Iterator

from harness.records.record import Record
from harness.records.status import STATES, Status
from harness.tables.cells import Evidence
from harness.tables.layout import Layout
from harness.tables.table import Origin

Key = tuple[str, str, str, int]


def evidence_of(evidence: Evidence, table: Layout) -> Iterator[tuple[Key, Status]]:
    """Yield every (dataset, category, method, seed) of a table once, with its state."""
    asked = ((q.dataset, c, q.method, seed) for q in table.asked() for c in q.categories for seed in evidence.seeds(q))
    for key in dict.fromkeys(asked):
        yield key, evidence.status(*key)


def coverage(evidence: Evidence, table: Layout) -> dict[str, int]:
    """Return how many fits of the table are in which state."""
    states = [status.state for _, status in evidence_of(evidence, table)]
    return {state: states.count(state) for state in STATES}


def used_records(evidence: Evidence, table: Layout) -> Iterator[tuple[Key, Status, Record]]:
    """Yield the records whose numbers the table prints or could print."""
    for key, status in evidence_of(evidence, table):
        if status.record is not None and status.state != "failed":
            yield key, status, status.record


def provenance(evidence: Evidence, table: Layout) -> tuple[Origin, ...]:
    """Return one line per record: where it lies and what it was made from."""
    copied = ("fingerprint", "fit_key", "data_digest", "weights_origin", "precision", "commit", "dirty")
    return tuple(
        Origin(
            dataset=dataset,
            used=evidence.plan.stand_in(dataset),
            category=category,
            method=method,
            seed=seed,
            state=status.state,
            path=status.path,
            **{name: getattr(record, name) for name in copied},
        )
        for (dataset, category, method, seed), status, record in used_records(evidence, table)
    )


def machines(evidence: Evidence, table: Layout) -> tuple[str, ...]:
    """Return the machines that the table's records name, each once."""
    names = (record.hardware.line for _, _, record in used_records(evidence, table))
    return tuple(sorted({name for name in names if name}))
