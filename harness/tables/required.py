"""What the tables ask of a cell: a record without it is partial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from harness.cell import Cell
from harness.metrics.measures import MEASURES
from harness.records.record import Record
from harness.tables.cells import Evidence, measured
from harness.tables.layout import layout
from harness.tables.plans import Plans
from harness.tables.spec import LayerSpec, load_table

Asked = tuple[str, str | None]


class RequiredMeasures:
    """The measures that tables ask of each cell, worked out once per protocol."""

    def __init__(self, grid: Plans) -> None:
        self.grid = grid
        self._known: dict[str, Mapping[tuple[str, str, str], set[Asked]]] = {}

    def of(self, cell: Cell) -> list[Asked]:
        """Return the measures, with their policies, that tables of the cell's protocol ask of it."""
        if cell.protocol not in self._known:
            self._known[cell.protocol] = self._collect(cell.protocol)
        asked = self._known[cell.protocol].get((cell.dataset, cell.category, cell.method), set())
        return sorted(asked, key=str)

    def missing(self, cell: Cell, record: Record) -> list[str]:
        """Return which of them a record has no value for, each with the reason."""
        found = [measured(record, name, policy) for name, policy in self.of(cell)]
        return [f"{number.label}: {number.note}" for number in found if number.value is None]

    def _collect(self, protocol: str) -> Mapping[tuple[str, str, str], set[Asked]]:
        plan = self.grid.plan(protocol)
        evidence = Evidence(plan)
        asked: dict[tuple[str, str, str], set[Asked]] = defaultdict(set)
        for name in self.grid.all_tables:
            spec = load_table(name)
            if isinstance(spec, LayerSpec):
                continue
            for query in layout(plan, spec).asked():
                if MEASURES[query.measure].maps and "maps" not in plan.methods[query.method].gives:
                    continue
                policy = evidence.policy(query)
                if policy == "normal_validation" and not plan.methods[query.method].validation:
                    continue
                for category in query.categories:
                    asked[query.dataset, category, query.method].add((query.measure, policy))
        return asked
