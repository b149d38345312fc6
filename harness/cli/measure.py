"""The verb that grades: evaluate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from harness.cell import Cell
from harness.cli.common import add_cell, resolve
from harness.cli.data import restore_data
from harness.cli.guard import ends_process, guarded, why
from harness.errors import DataError, EvidenceError
from harness.records.plan import Plan
from harness.workflow.job_status import failure_name, force_to_disk, note_failure, read_marker
from harness.workflow.supervise import supervised

Run = Callable[[argparse.Namespace], int]


def add_evaluate(parser: argparse.ArgumentParser) -> Run:
    """Measure one cell's maps and scores and write its record."""
    add_cell(parser)
    return run_evaluate


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Write work/records/….json for the cell, a failed one too when the measuring itself fails or is killed."""
    plan, cell = resolve(arguments)
    fit = read_marker(plan.fit_folder(cell) / "fit.json")
    export = read_marker(plan.maps(cell).with_suffix(".json"))
    if fit is None or export is None:
        raise DataError(f"{plan.maps(cell)}: not exported; run: python -m harness export {cell.arguments}")

    def failed(reason: str, tail: list[str]) -> int:
        note_failure(plan.work, failure_name(cell.record), reason)
        return _write(plan, cell, fit, {"status": "failed", "reason": reason, "log_tail": tail})

    def work() -> int:
        try:
            restore_data(plan, cell, plan.protocol.datasets[cell.dataset].size)
            return _write(plan, cell, fit, export)
        except Exception as error:
            if ends_process(error):
                raise
            if isinstance(error, EvidenceError):
                note_failure(plan.work, f"{plan.key(cell)}.export", str(error))  # damaged maps: export again as well
            return failed(*why(error))

    return supervised(lambda: guarded(work, "evaluate"), failed)


def _write(plan: Plan, cell: Cell, fit: dict[str, Any], export: dict[str, Any]) -> int:
    """Measure and write the record."""
    from harness.data.prepared import Prepared
    from harness.records.evaluate import measure

    truth = Prepared.open(plan.truth_folder(cell), allow_failed=True)
    record = measure(
        cell.key, plan.method(cell), plan.protocol.measures, plan.keys(cell), fit, export, plan.maps(cell), truth
    )
    path = plan.work / "records" / cell.record
    record.write(path)
    force_to_disk(path)
    print(f"record {cell.record}: {record.status} {record.reason or ''}".rstrip(), file=sys.stderr)
    return 0
