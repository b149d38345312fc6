"""One job: a stage of one cell, run in a child process under its lock. Every end of it becomes one status file.

A cell that fails is a result: its status says why, the other cells go on. A full disk and a wrong configuration are for
the user to mend, so they leave no status, and the same command goes on later.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import DataError, EvidenceError, FitError, UserError, disk_full
from harness.workflow.job_status import exclusive, note_failure
from harness.workflow.supervise import supervised

FAILED = 3
"""What `run_job` returns for a cell that failed."""
Status = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A stage of one cell.

    Attributes:
        what: what messages call it, such as "fit 0123abcd".
        name: under which its failures are counted.
        work: the work folder.
        lock: the file that one process holds at a time.
        compute: does the work and returns its status, of which `status` is "measured" or "failed".
        finish: writes the status file, of a failed work too.
        done: tells, under the lock, that there is nothing to do.
    """

    what: str
    name: str
    work: Path
    lock: Path
    compute: Callable[[], Status]
    finish: Callable[[Status], object]
    done: Callable[[], bool] = lambda: False


def run_job(job: Job, *, by_hand: bool = False) -> int:
    """Run a job. Returns 0, `FAILED`, 2 for what the user has to mend, or 128 plus the signal that asked it to end.

    Given `by_hand`, faults of data are for the user to mend, too: they are said and leave no status.
    """

    def end(status: Status) -> int:
        job.finish(status)
        if status["status"] != "failed":
            return 0
        if not status.get("passed_on"):
            note_failure(job.work, job.name, status["reason"])
            print(f"{job.what}: failed: {status['reason']}", file=sys.stderr)
        return FAILED

    def attempt() -> int:
        try:
            status = job.compute()
        except Exception as error:
            if ends_process(error) or (by_hand and isinstance(error, UserError)):
                raise
            status = failed(*why(error))
        return end(status)

    with exclusive(job.lock, job.what):
        if job.done():
            print(f"{job.what}: done already", file=sys.stderr)
            return 0
        return supervised(lambda: guarded(attempt, job.what), lambda reason, tail: end(failed(reason, tail)))


def failed(reason: str, log_tail: list[str], *, passed_on: bool = False) -> Status:
    """Return the status of a work that came to nothing; `passed_on` if an earlier stage's failure is the reason."""
    return {"status": "failed", "reason": reason, "log_tail": log_tail, "passed_on": passed_on}


def guarded(run: Callable[[], int | None], what: str) -> int:
    """Return what `run` returns, or 2 after one line on a user's mistake, a full disk or a file out of reach."""
    try:
        return int(run() or 0)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    except BrokenPipeError:
        return 0
    except Exception as error:
        if disk_full(error):
            reason = "the disk or your quota is full; free some and give the command again"
        elif isinstance(error, OSError) and error.filename and error.strerror:
            reason = f"{error.filename}: {error.strerror}; name another place, or change its rights"
        else:
            raise
        print(f"error: {what}: {reason}", file=sys.stderr)
    return 2


def ends_process(error: Exception) -> bool:
    """Tell whether an error is for the user to mend before anything can go on: a full disk, a wrong configuration."""
    return disk_full(error) or (isinstance(error, UserError) and not isinstance(error, (DataError, EvidenceError)))


def why(error: Exception) -> tuple[str, list[str]]:
    """Return one line for the table, and the traceback's tail for whoever looks closer."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, (UserError, FitError)) else f"{type(error).__name__}: "
    return kind + text, traceback.format_exc().splitlines()[-20:]
