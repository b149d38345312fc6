"""A table as CSV: one line a cell, with everything that its JSON says of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

FIELDS = [
    *("table", "row", "column", "method", "dataset", "measure", "policy", "threshold", "state", "reason", "n_seeds"),
    *("mean", "spread", "interval_low", "interval_high", "published", "difference"),
    *("categories_there", "categories_all", "rank", "oracle", "weights_origin", "records"),
]
LAYER_FIELDS = [
    *(
        "table",
        "network",
        "layer",
        "published_layer",
        "published_output",
        "reproduced_layer",
        "reproduced_output",
        "same",
        "note",
    ),
]


def to_csv(table: Mapping[str, Any]) -> str:
    """Return a table as CSV text; numbers are written in full, not as rounded for print."""
    layers = table["kind"] == "layers"
    lines = _layer_lines(table) if layers else _lines(table)
    out = io.StringIO()
    writer = csv.DictWriter(out, LAYER_FIELDS if layers else FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return out.getvalue()


def _lines(table: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for row in table["rows"]:
        for column, cell in zip(table["columns"], row["cells"], strict=True):
            head = row if table["kind"] == "classes" else column
            low, high = cell["interval"] or (None, None)
            there, everything = cell["count"] or (None, None)
            yield {
                "table": table["id"],
                "row": row["id"],
                "column": column["id"],
                "method": head["method"],
                "dataset": head["dataset"],
                **{name: cell[name] for name in FIELDS if name in cell and not isinstance(cell[name], list)},
                "interval_low": low,
                "interval_high": high,
                "categories_there": there,
                "categories_all": everything,
                "weights_origin": "; ".join(cell["weights_origin"]),
                "records": "; ".join(cell["records"]),
            }


def _layer_lines(table: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for row in table["rows"]:
        published, reproduced = row["published"] or {}, row["reproduced"] or {}
        yield {
            "table": table["id"],
            "network": row["network"],
            "layer": row["layer"],
            "published_layer": published.get("dimensions"),
            "published_output": published.get("output"),
            "reproduced_layer": reproduced.get("dimensions"),
            "reproduced_output": reproduced.get("output"),
            "same": row["same"],
            "note": row["note"],
        }
