"""From a published number back to what it was measured from, and to the command that measures it again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness import paths
from harness.errors import ConfigError, EvidenceError, UserError
from harness.nearest import hint
from harness.paths import WORK
from harness.records.reading import place_of, read_checked
from harness.records.record import Record
from harness.records.trained import training_text
from harness.tables.plans import Plans
from harness.tables.render import read_numbers
from harness.tables.table import Head, Table, TableCell

_FAULT = "  fault        "


def table_path(what: str, protocol: str = "paper") -> Path:
    """Return the JSON behind a table's id or behind any of its views."""
    if "/" in what or "." in what:
        return Path(what).with_suffix(".json")
    return Path("results", "" if protocol == "paper" else protocol, f"{what}.json")


def trace(path: Path, row: str, column: str, grid: Plans) -> tuple[list[str], bool]:
    """Return the chain behind one cell of a table, line by line, and whether its records support the number.

    Raises UserError for an unknown cell.
    """
    table = read_numbers(path)
    row, column, cell = find_cell(table, row, column, path)
    lines = [] if cell.records else ["  no record stands behind it"]
    for name, fingerprint in zip(cell.records, cell.fingerprints, strict=True):
        lines += _record_lines(name, fingerprint, grid)
    supported = not any(line.startswith(_FAULT) for line in lines)
    headline = _headline(path, row, column, cell)
    return [headline if supported else f"NOT SUPPORTED by its records: {headline}", *lines], supported


def find_cell(table: Table, row: str, column: str, path: Path) -> tuple[str, str, TableCell]:
    """Return the ids of row and column, given by id or by title, and their cell of a table.

    Raises UserError that names the nearest row or column.
    """
    heads = {"row": table.rows, "column": table.columns}
    names = [_names(listed) for listed in heads.values()]
    if _fold(row) in names[1] and _fold(column) in names[0]:
        raise UserError(f"{path}: '{row}' is a column and '{column}' a row; give the row first")
    found = []
    for name, known, what in ((row, names[0], "row"), (column, names[1], "column")):
        if _fold(name) not in known:
            ids = list(dict.fromkeys(known.values()))
            titles = [head.title.text for head in heads[what] if head.title.text not in ids]
            raise UserError(f"{path}: no {what} '{name}'; {hint(name, [*ids, *titles])}")
        found.append(known[_fold(name)])
    cells = {(r.id, c.id): cell for r, c, cell in table.by_row()}
    return found[0], found[1], cells[found[0], found[1]]


def _names(heads: Sequence[Head]) -> dict[str, str]:
    """Return the id behind each title that only one head bears, and behind each id."""
    titles = Counter(_fold(head.title.text) for head in heads)
    named = {_fold(head.title.text): head.id for head in heads if titles[_fold(head.title.text)] == 1}
    return named | {_fold(head.id): head.id for head in heads}


def _fold(name: str) -> str:
    return name.casefold().strip()


def rebuild_command(place: str, *, measured: bool = True) -> str:
    """Return the command that measures one cell, again where it is `measured`; `place` lies below records/."""
    again = "--config evidence=fresh --forcerun fit evaluate " if measured else ""
    return f"snakemake --cores 4 {again}-- work/records/{place}"


def _headline(path: Path, row: str, column: str, cell: TableCell) -> str:
    value = cell.reproduced
    number = "no number" if value is None else f"{value:.{cell.decimals}f} ({value!r})"
    measure = cell.measure or "no measure"
    policy = f" at {cell.policy}" if cell.policy else ""
    reason = f" ({cell.reason})" if cell.reason else ""
    published = "" if cell.published is None else f"; the paper prints {cell.published}"
    return f"{path} {row} × {column}: {number}, {measure}{policy}, {cell.state}{reason}{published}"


def _record_lines(name: str, fingerprint: str, grid: Plans) -> list[str]:
    """Return what is to be said of one record; a record that is gone or altered is said to be so."""
    path = paths.found(name)
    folder = paths.RECORDS if path.is_relative_to(paths.RECORDS) else WORK / "records"
    place = place_of(path, folder)
    command = f"  rebuild      {rebuild_command(path.relative_to(folder).as_posix())}"
    try:
        record = read_checked(path)
    except EvidenceError as error:
        return [f"- {name}", f"{_FAULT}{error}", command]
    lines = [f"- {name}: sealed"]
    if record.fingerprint != fingerprint:
        lines.append(f"{_FAULT}the table was built from another record; aggregate it again")
    today, current = _today(place, record, grid)
    libraries = ", ".join(f"{name} {version}" for name, version in record.libraries.items())
    lines += [
        f"  seed         {record.seed}",
        f"  fingerprint  {record.fingerprint} ({today})",
        f"  fit key      {record.fit_key} (work/fits/{record.fit_key})",
        f"  data digest  {record.data_digest}",
        f"  commit       {record.commit}{' with uncommitted changes' if record.dirty else ''}",
        f"  training     {training_text(record)}",
        f"  weights      {record.weights_origin}; precision {record.precision}",
        f"  maps         {_maps(place, record, grid)}",
        f"  machine      {record.hardware.line}",
        f"  libraries    {libraries}",
        f"  measured     {record.date}; fit {record.fit.seconds} s",
    ]
    return [*lines, command if current else f"{command}   (after: git checkout {record.commit})"]


def _maps(place: tuple[str, str, str, str, int], record: Record, grid: Plans) -> str:
    """Return where the record's maps lie, or why there are none."""
    method = grid.plan(place[0]).methods.get(place[3])
    if method is not None and "maps" not in method.gives:
        return "none: the method gives scores only"
    file = Path("work", "fits", record.fit_key, "maps.npz")
    return f"{file}{'' if file.is_file() else ' (not on this machine)'}"


def _today(place: tuple[str, str, str, str, int], record: Record, grid: Plans) -> tuple[str, bool]:
    """Return how a record's fingerprint stands to today's sources."""
    try:
        plan = grid.plan(place[0])
        cell = plan.at(*place[1:])
    except ConfigError as error:
        return f"today's configuration does not know the cell: {error}", False
    digest = plan.data_digest(cell)
    if plan.fingerprint(cell, record.data_digest) != record.fingerprint:
        return "today's sources imply another", False
    if digest not in (None, record.data_digest):
        return "today's sources imply it, but other data are prepared here", True
    return "today's sources imply it" + ("" if digest else "; its data are not prepared here"), True
