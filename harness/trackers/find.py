"""Which runs there are: the records of some folders, each once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness import paths
from harness.records.reading import records_below
from harness.records.record import Record
from harness.trackers.run import Run, run_of


def find_runs(*folders: Path) -> Iterator[Run]:
    """Yield the runs of all records below `folders`, failed ones too; of equal records in two folders the first one.

    A folder may be a part of one, such as records/lite. Without `folders`: accepted records, and those measured here.

    Raises EvidenceError for a folder that is not there or has no record, and for a record that is damaged or altered.
    """
    known = set()
    for folder in folders or (paths.RECORDS, paths.WORK / "records"):
        for path, record in records_below(folder, needed=bool(folders)):
            run = _run(path, record)
            if run.seal not in known:
                known.add(run.seal)
                yield run


def _run(path: Path, record: Record) -> Run:
    beside = path.absolute().parents[len(record.cell)] / "fits"
    logs = (fits / record.fit_key / "log.jsonl" for fits in (beside, paths.WORK / "fits"))
    return run_of(record, path, paths.shown(path), tuple(logs))
