"""From the plan's evidence and a table's description to the JSON that is the truth of one table.

Everything that is printed, shown or audited later is a view of this JSON (and of the records that it names).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import overload

from harness.data.atomic import write_text
from harness.metrics.measures import MEASURES
from harness.tables.budget import reduced
from harness.tables.cells import Evidence, resolve
from harness.tables.layers import layer_table
from harness.tables.layout import Layout, Line, Query, layout
from harness.tables.missing import missing
from harness.tables.nearest import nearest_measures
from harness.tables.notes import Notes
from harness.tables.provenance import coverage, machines, provenance
from harness.tables.ranks import ranked
from harness.tables.spec import AnySpec, LayerSpec, TableSpec
from harness.tables.table import AnyTable, LayerTable, ProtocolAbout, Table, TableCell, to_json
from harness.tables.yardsticks import FLOOR

Grid = tuple[tuple[TableCell, ...], ...]


@overload
def aggregate(evidence: Evidence, spec: TableSpec) -> Table: ...
@overload
def aggregate(evidence: Evidence, spec: LayerSpec) -> LayerTable: ...
def aggregate(evidence: Evidence, spec: AnySpec) -> Table | LayerTable:
    """Return a table. Raises ConfigError when the description and the methods do not fit."""
    protocol = evidence.plan.protocol
    about = ProtocolAbout(id=protocol.id, title=protocol.title, seeds=protocol.seeds, reduced=reduced(protocol))
    return layer_table(evidence.plan, spec, about) if isinstance(spec, LayerSpec) else _numbers(evidence, spec, about)


def _numbers(evidence: Evidence, described: TableSpec, about: ProtocolAbout) -> Table:
    whole = layout(evidence.plan, described)
    lines = [_line(evidence, whole, s) for s in range(len(whole.series))]
    kept = _kept(whole, lines)
    table, spec = whole.only(kept), whole.spec
    cells = _ranked(table, [lines[s] for s in kept])
    notes = Notes(evidence, table, cells, whole)
    series = tuple(notes.head(number) for number in range(len(table.series)))
    positions = tuple(line.head for line in table.positions)
    down = spec.methods == "rows"
    return Table(
        id=spec.id,
        label=spec.label,
        paper=spec.paper,
        title=notes.title(),
        protocol=about,
        methods=spec.methods,
        corner=spec.corner,
        rows=series if down else positions,
        columns=positions if down else series,
        cells=cells if down else tuple(zip(*cells, strict=True)),
        caption=notes.caption(),
        notes=notes.sentences(),
        footnotes=notes.footnotes(),
        datasets=notes.datasets,
        coverage=coverage(evidence, whole),
        missing=missing(evidence, whole),
        machines=machines(evidence, table),
        measures={name: MEASURES[name].title for name in sorted(_measures(table))},
        nearest_measure=nearest_measures(evidence, table),
        provenance=provenance(evidence, table),
    )


def _kept(table: Layout, lines: Sequence[Sequence[TableCell]]) -> list[int]:
    """Return the series that have a place: no yardstick that nobody has measured; in blocks, nothing without a number.

    Where nothing has a number the methods stay, those of the block of means if there is one.
    """
    known = [any(map(_tried, cells)) for cells in lines]
    methods = [s for s, line in enumerate(table.series) if line.series is not None]
    if any(known[s] for s in methods) and table.spec.blocks:
        tried = {table.series[s].category for s in methods if known[s]}
        return [s for s, line in enumerate(table.series) if known[s] and line.category in tried]
    means = [s for s in methods if table.series[s].category is None]
    return sorted(
        {*(means or methods), *(s for s, line in enumerate(table.series) if line.series is None and known[s])}
    )


def _tried(cell: TableCell) -> bool:
    return cell.any_value is not None or cell.state == "failed"


def _measures(table: Layout) -> set[str]:
    """Return the ids of the measures that the table's cells and its comparison of measures show."""
    return {query.measure for query in table.asked()} | set(table.spec.nearest_measure)


def _line(evidence: Evidence, table: Layout, series: int) -> list[TableCell]:
    """Return the cells of a series."""
    line, queries = table.series[series], table.queries[series]
    pairs = zip(table.positions, queries, strict=True)
    return [_cell(evidence, table, line, position, query) for position, query in pairs]


def _cell(evidence: Evidence, table: Layout, line: Line, position: Line, query: Query | None) -> TableCell:
    cell = resolve(evidence, query)
    if line.series is not None and line.series.published_only:
        cell = replace(cell, reason=line.series.published_only)
    comparable = evidence.plan.stand_in(line.dataset) == line.dataset
    published = table.published(line, position) if comparable else None
    difference = None if published is None or cell.reproduced is None else round(cell.reproduced - published, 9)
    decimals = position.quantity.decimals if position.quantity else table.spec.decimals
    digits = table.spec.published_decimals
    return replace(
        cell,
        published=published,
        difference=difference,
        decimals=decimals,
        published_decimals=decimals if digits is None else digits,
        below=query is not None and not query.yardstick and _below(evidence, query, cell),
        measure=cell.measure or (position.quantity.measure if position.quantity else table.spec.measure),
    )


def _below(evidence: Evidence, query: Query, cell: TableCell) -> bool:
    """Tell whether a number is no better than that of marking everything, as far as both are printed."""
    better = MEASURES[query.measure].better
    floor = evidence.yardstick(query, FLOOR) if cell.reproduced is not None and better == "higher" else None
    return floor is not None and cell.reproduced is not None and cell.reproduced <= floor


def _ranked(table: Layout, lines: list[list[TableCell]]) -> Grid:
    """Return the cells with ranks: at each position, among the methods on the same data."""
    methods = [i for i, line in enumerate(table.series) if line.series is not None]
    blocks = [(table.series[i].dataset, table.series[i].category) for i in methods]
    for position in range(len(table.positions)):
        for i, cell in zip(methods, ranked([lines[i][position] for i in methods], blocks), strict=True):
            lines[i][position] = cell
    return tuple(map(tuple, lines))


def write_json(table: AnyTable, path: Path) -> None:
    """Write a table's JSON atomically; equal tables give equal bytes."""
    write_text(path, to_json(table))
