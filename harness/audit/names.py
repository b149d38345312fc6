"""Identifiers in the audit's texts, as the tables head them: `cavga_r_u@0.2` reads "CAVGA-R_u at 0.2"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from harness.cell import Method
from harness.tables.table import AnyTable, Table
from harness.tables.view import number_of

Names = Mapping[str, Mapping[str, str]]


def series_names(tables: Mapping[str, AnyTable], methods: Mapping[str, Method]) -> Names:
    """Return, by table, the heading of each series, and the table's own label; methods by title where none is built."""
    found: dict[str, dict[str, str]] = {"": {name: entry.title for name, entry in methods.items()}}
    for name, table in tables.items():
        heads = table.series if isinstance(table, Table) else ()
        found[name] = {head.id: head.name for head in heads} | {name: f"Table {number_of(table)}"}
    return found


def named(text: str, names: Names, tables: Iterable[str]) -> str:
    """Return a text with the identifiers of some tables' series replaced by their headings."""
    known = dict(names[""])
    for table in tables:
        known |= names.get(table, {})
    known |= {name: name for name in known.values()}  # a heading that stands there already holds identifiers: "…, c3"
    longest = sorted(known, key=len, reverse=True)
    return re.sub(rf"(?<![\w@/])(?:{'|'.join(map(re.escape, longest))})(?![\w@/])", lambda m: known[m[0]], text)
