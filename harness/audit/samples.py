"""What records say to a table's question, as samples that can be paired: series by category and seed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from harness.audit.paired import Sample, Where
from harness.metrics.measures import MEASURES, Measure
from harness.records.plan import Plan
from harness.records.record import Record
from harness.records.trained import images_seen
from harness.tables.cells import Evidence
from harness.tables.layout import Layout, Query, layout
from harness.tables.spec import load_numbers
from harness.tables.view import full_title

CHANCE = 0.5
"""What a score that says nothing gives as AuROC, and as the mean accuracy of two classes."""


class Samples:
    """The believed numbers of a protocol, by table and series; each record is read once."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.plan: Plan = evidence.plan
        self._layouts: dict[str, Layout] = {}

    def of(self, table: str, series: str) -> dict[Where, Sample]:
        """Return a series' numbers by category and seed; none from stand-ins, none of a table of costs."""
        return {
            (query.categories[0], seed): sample
            for query in self._queries(table, series)
            if query is not None and not query.reduced and self.plan.stand_in(query.dataset) == query.dataset
            for seed in self.evidence.seeds(query)
            if (sample := self._sample(query, seed)) is not None
        }

    def datasets(self, table: str, series: str) -> dict[str, None]:
        """Return the ids of the datasets that a series is asked of, in the table's order."""
        return dict.fromkeys(query.dataset for query in self._queries(table, series) if query is not None)

    def title(self, table: str, series: str) -> str:
        """Return how a table heads a series; its id where the table does not list it."""
        heads = (line.head for line in self._layout(table).series)
        return next((head.name for head in heads if head.id == series), series)

    def methods(self, table: str, series: Collection[str]) -> int:
        """Return how many methods these series of a table are of: one at five thresholds is one."""
        return len({line.head.method for line in self._layout(table).series if line.head.id in series})

    def oracle(self, table: str, series: str) -> bool:
        """Whether a series is measured at the best threshold on the test images themselves."""
        queries = [query for query in self._queries(table, series) if query is not None]
        return any(self.evidence.policy(query) == "best_on_test" for query in queries)

    def own(self, table: str, series: str) -> bool:
        """Whether a series is a method of the paper, not a baseline."""
        return any(line.head.own for line in self._layout(table).series if line.head.id == series)

    def table_title(self, table: str) -> str:
        """Return a table's number and title."""
        spec = load_numbers(table)
        return full_title(spec.label, spec.paper, spec.title)

    def _queries(self, table: str, series: str) -> Sequence[Query | None]:
        found = self._layout(table)
        pairs = zip(found.series, found.queries, strict=True)
        return next((queries for line, queries in pairs if line.head.id == series), ())

    def _layout(self, table: str) -> Layout:
        if table not in self._layouts:
            self._layouts[table] = layout(self.plan, load_numbers(table))
        return self._layouts[table]

    def _sample(self, query: Query, seed: int) -> Sample | None:
        reading = self.evidence.read(query, query.categories[0], seed)
        if not reading.believed or reading.value is None or reading.answer is None or reading.status.record is None:
            return None
        about = MEASURES[query.measure]
        own = query.policy in (None, self.plan.methods[query.method].threshold)
        return sample_of(reading.status.record, about, reading.value, reading.answer.interval, own=own)


def sample_of(
    record: Record,
    measure: Measure,
    value: float,
    interval: tuple[float, float] | None,
    *,
    own: bool,
) -> Sample:
    """Return a record's number as a sample; `own`: whether it is taken at the method's own threshold."""
    per_image = "score" if measure.id == "image_auroc" else "iou" if measure.id.startswith("iou") and own else None
    rows = {row.id: row for row in record.images}
    return Sample(value, interval, per_image, rows, _yardstick(record, measure), images_seen(record))


def _yardstick(record: Record, measure: Measure) -> float | None:
    """Return what finding nothing gives: the IoU of marking every pixel, the AuROC of a coin."""
    if measure.id.startswith("iou"):
        curve = record.curve
        return None if curve is None else curve["iou"][0]
    return CHANCE if measure.id.endswith("auroc") or measure.id == "class_accuracy" else None
