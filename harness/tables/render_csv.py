"""A table as CSV: one line a cell, with everything that its JSON says of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import asdict

from harness.tables.table import AnyTable, LayerTable, Table

FIELDS = [
    *("table", "row", "column", "method", "dataset", "measure", "policy", "threshold", "state", "reason", "n_seeds"),
    *("reproduced", "stale", "spread", "interval_low", "interval_high", "published", "difference", "below"),
    *("categories_there", "categories_all", "rank", "oracle", "weights_origin", "records"),
]
SIDES = ("published_layer", "published_output", "reproduced_layer", "reproduced_output")
LAYER_FIELDS = ["table", "network", "layer", *SIDES, "word", "note"]
Line = dict[str, object]


def to_csv(table: AnyTable) -> str:
    """Return a table as CSV text; numbers are written in full, not as rounded for print."""
    if isinstance(table, LayerTable):
        return _written(LAYER_FIELDS, _layer_lines(table))
    assert isinstance(table, Table)
    return _written(FIELDS, _lines(table))


def _written(fields: list[str], lines: Iterable[Line]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _lines(table: Table) -> Iterable[Line]:
    for row, column, cell in table.by_row():
        head = row if table.methods == "rows" else column
        low, high = cell.interval or (None, None)
        there, everything = cell.count or (None, None)
        known = asdict(cell)
        yield {
            "table": table.id,
            "row": row.id,
            "column": column.id,
            "method": head.method,
            "dataset": head.dataset,
            **{name: known[name] for name in FIELDS if name in known},
            "interval_low": low,
            "interval_high": high,
            "categories_there": there,
            "categories_all": everything,
            "weights_origin": "; ".join(cell.weights_origin),
            "records": "; ".join(cell.records),
        }


def _layer_lines(table: LayerTable) -> Iterable[Line]:
    for row in table.layers:
        sides = [
            getattr(side, name, None) for side in (row.published, row.reproduced) for name in ("dimensions", "output")
        ]
        yield {
            **{"table": table.id, "network": row.network, "layer": row.layer, "word": row.word, "note": row.note},
            **dict(zip(SIDES, sides, strict=True)),
        }
