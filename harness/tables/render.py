"""Views of a table's JSON. Light on purpose: rendering starts without torch, pandas, numpy or the configuration."""

from __future__ import annotations

import json
from pathlib import Path

from harness.data.atomic import write_text
from harness.errors import UserError
from harness.paths import ROOT
from harness.tables.table import SCHEMA, AnyTable, LayerTable, Table
from harness.tables.view import BOTH, Options

FORMATS = ("csv", "tex", "html")


def render(source: Path, fmt: str, target: Path | None = None, options: Options = BOTH) -> Path:
    """Write one view of the table in `source` and return its path (beside the JSON by default).

    Args:
        source: The table's JSON.
        fmt: "csv", "tex" or "html".
        target: Where to write.
        options: Which numbers; whether LaTeX prints the spread under each.

    Raises:
        UserError: For an unknown format, or a file that is missing or no table.
    """
    text = to_text(read_table(source), fmt, options)
    target = target or source.with_suffix(f".{fmt}")
    write_text(target, text)
    return target


def read_table(source: Path) -> Table | LayerTable:
    """Return a table from its JSON. Raises UserError when the file is missing or is no table."""
    from pydantic import TypeAdapter, ValidationError  # imported here: who only writes tables needs it not

    published = Path("docs", source)
    again = f"build it: snakemake --cores 2 {source.with_suffix('.json')}"
    again += f", or name {published}" if (ROOT / published).is_file() else ""
    try:
        content = json.loads(source.read_text())
    except FileNotFoundError:
        raise UserError(f"{source}: no such file; {again}") from None
    except ValueError:
        raise UserError(f"{source}: not valid JSON; {again}") from None
    if not isinstance(content, dict) or "kind" not in content:
        raise UserError(f"{source}: not the JSON of a table; {again}")
    if content.get("schema") != SCHEMA:
        raise UserError(f"{source}: written by another version; {again}")
    try:
        return TypeAdapter[Table | LayerTable](LayerTable if content["kind"] == "layers" else Table).validate_python(
            content
        )
    except ValidationError as error:
        fault = error.errors()[0]
        raise UserError(f"{source}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; {again}") from None


def read_numbers(source: Path) -> Table:
    """Return a table of numbers from its JSON. Raises UserError when the file holds none."""
    table = read_table(source)
    if isinstance(table, LayerTable):
        raise UserError(f"{source}: a table of layers holds no measured numbers")
    return table


def to_text(table: AnyTable, fmt: str, options: Options = BOTH) -> str:
    """Return one view of a table as text; equal tables give equal text. Raises UserError for an unknown format."""
    # Imported here: a CSV needs no template engine, and the start has to stay quick.
    if fmt == "csv":
        from harness.tables.render_csv import to_csv

        return to_csv(table)
    if fmt == "tex":
        from harness.tables.render_latex import to_latex

        return to_latex(table, options)
    if fmt == "html":
        from harness.tables.render_html import to_html

        return to_html(table, options)
    raise UserError(f"unknown format '{fmt}'; known: {', '.join(FORMATS)}")
