"""The verb that grades: evaluate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmark.cli.common import add_cell, resolve
from benchmark.data.prepared import Prepared
from benchmark.errors import DataError
from benchmark.evidence.keys import measuring_key
from benchmark.stages.evaluate import measure
from benchmark.stages.marker import read_marker

Run = Callable[[argparse.Namespace], int]


def add_evaluate(parser: argparse.ArgumentParser) -> Run:
    """Measure one cell's maps and scores and write its record."""
    add_cell(parser)
    return run_evaluate


def run_evaluate(arguments: argparse.Namespace) -> int:
    """Write work/records/….json for the cell."""
    plan, cell = resolve(arguments)
    maps = plan.maps(cell)
    fit = read_marker(plan.fit_folder(cell) / "fit.json")
    export = read_marker(maps.with_suffix(".json"))
    if fit is None or export is None:
        raise DataError(f"{maps}: not exported; run: python -m benchmark export {cell.arguments}")
    truth = Prepared.open(plan.truth_folder(cell), allow_failed=True)
    place = {
        "protocol": cell.protocol, "dataset": cell.source, "category": cell.category,
        "method": cell.method, "seed": cell.seed,
    }  # fmt: skip
    keys = {
        "fingerprint": plan.fingerprint(cell, truth.manifest["digest"]),
        "fit_key": plan.key(cell),
        "measuring_key": measuring_key(plan.protocol, plan.methods[cell.method]),
    }
    record = measure(
        place,
        plan.methods[cell.method],
        plan.protocol["measures"],
        keys,
        fit,
        export,
        maps,
        truth,
    )
    record.write(plan.work / "records" / cell.record)
    print(f"record {cell.record}: {record.status} {record.reason or ''}".rstrip(), file=sys.stderr)
    return 0
