"""From a table's description and the plan to rows, columns and the question that each cell asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from harness.records.plan import Plan
from harness.tables.published import Published, read_published
from harness.tables.spec import AnySpec, LayerSpec, Quantity, Series, TableSpec, with_methods
from harness.tables.table import Head, Text
from harness.tables.yardsticks import TITLES

MEAN = "mean"
OWN_GROUP = "Yardsticks"
NO_BLOCK: tuple[str | None, str | None] = (None, None)


@dataclass(frozen=True)
class Query:
    """What one cell asks: a measure of one method (or yardstick), on one category or reduced over several."""

    dataset: str
    categories: tuple[str, ...]
    method: str
    measure: str
    policy: str | None = None
    reduced: bool = False
    yardstick: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """A row or column: its head, and what it contributes to the questions of its cells."""

    head: Head
    series: Series | None = None
    category: str | None = None
    quantity: Quantity | None = None

    @property
    def dataset(self) -> str:
        """Return the data set of a series."""
        return str(self.head.dataset)


@dataclass(frozen=True)
class Layout:
    """A table before it is filled. `queries[s][p]` belong to series and positions; None: there can be no number."""

    spec: TableSpec
    series: tuple[Line, ...]
    positions: tuple[Line, ...]
    queries: tuple[tuple[Query | None, ...], ...]

    def only(self, kept: Sequence[int]) -> Layout:
        """Return the layout with some of its series."""
        return replace(self, series=tuple(self.series[i] for i in kept), queries=tuple(self.queries[i] for i in kept))

    def asked(self) -> Iterator[Query]:
        """Yield the questions to methods."""
        yield from (query for line in self.queries for query in line if query is not None and not query.yardstick)

    def published(self, line: Line, position: Line) -> float | None:
        """Return the printed number of a cell."""
        quantity = position.quantity
        name = (quantity.published if quantity else None) or self.spec.published
        if name is None or line.series is None or (self.spec.blocks and quantity and not quantity.published):
            return None
        place = (line.category or MEAN) if self.spec.blocks else position.head.id
        return sheet(self.spec, name).value(line.series.key, place)


def sheet(spec: TableSpec, name: str) -> Published:
    """Return a published file. Those of tables with methods down name rows by two keys, unless they list blocks."""
    down = spec.methods == "rows" and not spec.blocks
    return read_published(name, "rows" if down else "columns")


def layout(plan: Plan, spec: TableSpec) -> Layout:
    """Lay out a table. Raises ConfigError for an unknown method."""
    spec = with_methods(spec, plan.methods, plan.protocol.only.methods)
    series = tuple(_series_lines(plan, spec))
    positions = (*(_category_lines(plan, spec) if spec.categories else ()), *map(_quantity_line, spec.quantities))
    if not spec.categories:
        positions = tuple(_as_measure(line) for line in positions)
    queries = tuple(tuple(_query(plan, spec, line, position) for position in positions) for line in series)
    return Layout(spec, series, positions, queries)


def required_cells(plan: Plan, spec: AnySpec) -> list[tuple[str, str, str]]:
    """Return every (dataset, category, method) that a table needs, each once, in its order; layers need none."""
    if isinstance(spec, LayerSpec):
        return []
    entries = with_methods(spec, plan.methods, plan.protocol.only.methods).series or ()
    found = dict.fromkeys((entry.dataset, entry.method) for entry in entries if entry.method is not None)
    return [(data, category, method) for data, method in found for category in plan.categories(data)]


def _series_lines(plan: Plan, spec: TableSpec) -> Iterator[Line]:
    blocks = [_block(plan, spec, name) for kind in spec.blocks for name in _block_names(plan, spec, kind)]
    for category, group in blocks or [NO_BLOCK]:
        for entry in spec.series or ():
            yield _series_line(plan, entry, category, group)
        for name in spec.yardsticks:
            yield _yardstick_line(spec, name, category, group)


def _block_names(plan: Plan, spec: TableSpec, kind: str) -> list[str | None]:
    """Return the blocks of one kind; a mean over the only category would say the same twice."""
    names: list[str | None] = [*plan.categories(str(spec.dataset))]
    if kind != MEAN:
        return names
    return [] if len(names) == 1 and len(spec.blocks) > 1 else [None]


def _block(plan: Plan, spec: TableSpec, name: str | None) -> tuple[str | None, str | None]:
    known = plan.categories(str(spec.dataset))
    return name, f"mean over {len(known)} categories" if name is None else known[name].title


def _series_line(plan: Plan, entry: Series, category: str | None, group: str | None) -> Line:
    about = plan.methods[entry.method] if entry.method else None
    title = entry.title or (Text(about.title, about.latex) if about else Text(entry.id))
    head = Head(
        id=entry.id if group is None else f"{category or MEAN}/{entry.id}",
        title=title,
        role="method",
        subtitles=entry.subtitles,
        group=group or entry.group,
        method=entry.method,
        dataset=entry.dataset,
        category=category,
        published_as=entry.published_as,
        own=about is not None and not about.detector.startswith("baselines."),
    )
    return Line(head=head, series=entry, category=category)


def _yardstick_line(spec: TableSpec, name: str, category: str | None, group: str | None) -> Line:
    own = name if group is None else f"{category or MEAN}/{name}"
    head = Head(
        id=own, title=TITLES[name], role="yardstick", group=group or OWN_GROUP, dataset=spec.dataset, category=category
    )
    return Line(head=head, category=category)


def _quantity_line(entry: Quantity) -> Line:
    return Line(head=Head(id=entry.id, title=entry.title, role="aggregate", measure=entry.measure), quantity=entry)


def _as_measure(line: Line) -> Line:
    head = line.head
    return Line(head=Head(id=head.id, title=head.title, role="measure", measure=head.measure), quantity=line.quantity)


def _category_lines(plan: Plan, spec: TableSpec) -> Iterator[Line]:
    """Yield the categories of all data sets of the table, in printed order where they are printed."""
    known: dict[str, str] = {}
    for dataset in spec.datasets:
        for category, about in plan.categories(dataset).items():
            known.setdefault(category, about.title)
    printed = sheet(spec, spec.published).positions if spec.published else []
    order = [key for key in printed if key in known] + [key for key in known if key not in printed]
    for name in order:
        yield Line(head=Head(id=name, title=Text(known[name]), role="category"), category=name)


def _query(plan: Plan, spec: TableSpec, line: Line, position: Line) -> Query | None:
    """Return the question of a cell: what its line and its position say, the table's own measure where they do not."""
    if line.series is not None and line.series.method is None:
        return None
    everything = tuple(plan.categories(line.dataset))
    category = line.category or position.category
    if category is not None and category not in everything:
        return None
    quantity = position.quantity
    measure = quantity.measure if quantity else spec.measure
    policy = (quantity.policy if quantity else None) or (line.series.policy if line.series else None)
    method = line.series.method if line.series else line.head.id.rpartition("/")[2]
    places = everything if category is None else (category,)
    return Query(line.dataset, places, str(method), measure, policy, category is None, line.series is None)
