"""Views of a table's JSON. Light on purpose: rendering starts without torch, pandas, numpy or the configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.errors import UserError

FORMATS = ("csv", "tex", "html")
SCHEMA = 4
"""Version of a table's JSON; it grows when the views need what older files do not hold."""


def render(source: Path, fmt: str, target: Path | None = None, *, spread: bool = False) -> Path:
    """Write one view of the table in `source` and return its path (beside the JSON by default).

    Args:
        source: The table's JSON.
        fmt: "csv", "tex" or "html".
        target: Where to write.
        spread: For LaTeX: print the spread over seeds, or the bootstrap interval of one seed, under each number.

    Raises:
        UserError: For an unknown format, or a file that is missing or no table.
    """
    text = to_text(read_table(source), fmt, spread=spread)
    target = target or source.with_suffix(f".{fmt}")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(target.name + ".tmp")
    temporary.write_text(text, newline="")
    temporary.replace(target)
    return target


def read_table(source: Path) -> dict[str, Any]:
    """Return a table's JSON. Raises UserError when the file is missing or is no table."""
    try:
        table = json.loads(source.read_text())
    except FileNotFoundError:
        raise UserError(f"{source}: no such file; make it with `cavga-bench aggregate`") from None
    except ValueError:
        raise UserError(f"{source}: not valid JSON; make it again with `cavga-bench aggregate`") from None
    if not isinstance(table, dict) or "kind" not in table:
        raise UserError(f"{source}: not the JSON of a table; make it with `cavga-bench aggregate`")
    if table.get("schema") != SCHEMA:
        raise UserError(f"{source}: written by another version; make it again with `cavga-bench aggregate`")
    return table


def to_text(table: dict[str, Any], fmt: str, *, spread: bool = False) -> str:
    """Return one view of a table as text; equal tables give equal text. Raises UserError for an unknown format."""
    # Imported here: a CSV needs no template engine, and the start has to stay quick.
    if fmt == "csv":
        from harness.tables.render_csv import to_csv

        return to_csv(table)
    if fmt == "tex":
        from harness.tables.render_latex import to_latex

        return to_latex(table, with_spread=spread)
    if fmt == "html":
        from harness.tables.render_html import to_html

        return to_html(table)
    raise UserError(f"unknown format '{fmt}'; known: {', '.join(FORMATS)}")
