"""The verb that grades: evaluate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.cell import Cell
from harness.cli.common import add_cell, add_note_failure, resolve, run_cell
from harness.cli.data import restore_data
from harness.errors import DataError, EvidenceError
from harness.records.plan import Plan
from harness.workflow.job import Job, Status
from harness.workflow.job_status import failure_name, force_to_disk, note_failure, read_status

if TYPE_CHECKING:
    from harness.records.record import Record

Run = Callable[[argparse.Namespace], int]


def add_evaluate(parser: argparse.ArgumentParser) -> Run:
    """Measure one cell's maps and scores and write its record."""
    add_cell(parser)
    add_note_failure(parser)
    return run_evaluate


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Write work/records/….json for the cell, a failed one too when the measuring itself fails or is killed."""
    plan, cell = resolve(arguments)
    return run_cell(evaluate_job(plan, cell), arguments)


def evaluate_job(plan: Plan, cell: Cell) -> Job:
    """Return the job that measures a cell. Raises DataError when its fit is not there."""
    fitted = read_status(plan.status_file(cell))
    if fitted is None:
        raise DataError(f"{plan.status_file(cell)}: no finished fit; run: cavga-bench fit {cell.arguments}")
    name = failure_name(cell.record)

    def compute() -> Status:
        restore_data(plan, cell, plan.protocol.datasets[cell.dataset].size)
        try:
            record = _record(plan, cell, fitted)
        except EvidenceError as error:
            note_failure(plan.work, plan.key(cell), str(error))  # damaged maps: the next build makes them again
            raise
        _write(plan, cell, record)
        return fitted | {"passed_on": True}

    def finish(status: Status) -> None:
        if status["status"] == "failed" and not status["passed_on"]:
            _write(plan, cell, _record(plan, cell, fitted | status))

    return Job(f"evaluate {name}", name, plan.work, plan.work / "locks" / f"{name}.lock", compute, finish)


def _record(plan: Plan, cell: Cell, status: Status) -> Record:
    from harness.data.prepared import Prepared
    from harness.records.evaluate import measure
    from harness.records.yardsticks import kept_yardsticks, yardsticks_path

    truth = Prepared.open(plan.truth_folder(cell), allow_failed=True)
    keys, grading = plan.keys(cell), plan.protocol.measures
    licence = plan.dataset(cell).licence
    pictures = licence is not None and licence.pictures
    kept = yardsticks_path(plan.work, cell.protocol, cell.source, cell.category)
    beside = {} if status["status"] == "failed" else kept_yardsticks(kept, truth).values()
    return measure(
        cell.key, plan.method(cell), grading, keys, status, plan.maps(cell), truth, pictures=pictures, yardsticks=beside
    )


def _write(plan: Plan, cell: Cell, record: Record) -> None:
    path = plan.work / "records" / cell.record
    record.write(path)
    force_to_disk(path)
    print(f"record {cell.record}: {record.status} {record.reason or ''}".rstrip(), file=sys.stderr)
