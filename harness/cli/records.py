"""The verb that gives records as data: records."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from harness.errors import UserError

Run = Callable[[argparse.Namespace], int]
FORMS = (".csv", ".parquet")


def add_records(parser: argparse.ArgumentParser) -> Run:
    """Write all records as one table, a row a measure."""
    parser.add_argument("folders", nargs="*", type=Path, help="default: records and work/records")
    parser.add_argument("--output", type=Path, help="a file that ends in .csv or .parquet (default: CSV, printed)")
    return run_records


def run_records(arguments: argparse.Namespace) -> int:
    """Write the table, or print it. Raises UserError for an ending that is not known, or without pyarrow."""
    from harness.data.atomic import atomic_file
    from harness.records.frame import load_records

    output: Path | None = arguments.output
    if output is not None and output.suffix not in FORMS:
        raise UserError(f"{output}: give a name that ends in {' or '.join(FORMS)}")
    if output is not None and output.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise UserError(f"{output}: Parquet needs pyarrow; pip install pyarrow, or write {output.with_suffix('.csv')}")
    frame = load_records(*arguments.folders)
    if output is None:
        print(frame.to_csv(index=False), end="")
        return 0
    with atomic_file(output) as temporary:
        if output.suffix == ".csv":
            frame.to_csv(temporary, index=False)
        else:
            frame.to_parquet(temporary, index=False)
    cells = len(frame[["evidence", "record"]].drop_duplicates())
    print(f"{output}: {len(frame)} rows of {cells} records", file=sys.stderr)
    return 0
