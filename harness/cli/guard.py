"""Which errors end a command with one line, which become a failed cell. Light: every verb imports it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from harness.errors import DataError, EvidenceError, FitError, UserError, disk_full


def guarded(run: Callable[[], int | None], verb: str) -> int:
    """Return the status of a verb: its own, or 2 after one line on a user's mistake or on a full disk."""
    try:
        return int(run() or 0)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    except BrokenPipeError:
        return 0
    except Exception as error:
        if not disk_full(error):
            raise
        print(f"error: {verb}: the disk or your quota is full; free some and give the command again", file=sys.stderr)
    return 2


def ends_process(error: Exception) -> bool:
    """Tell whether an error is for the user to mend before anything can go on: a full disk, a wrong configuration.

    Everything else is a failure of one cell, which is recorded while the other cells go on.
    """
    return disk_full(error) or (isinstance(error, UserError) and not isinstance(error, (DataError, EvidenceError)))


def why(error: Exception) -> tuple[str, list[str]]:
    """Return one line for the table, and the traceback's tail for whoever looks closer."""
    text = " ".join(str(error).split()) or type(error).__name__
    kind = "" if isinstance(error, (UserError, FitError)) else f"{type(error).__name__}: "
    return kind + text, traceback.format_exc().splitlines()[-20:]
