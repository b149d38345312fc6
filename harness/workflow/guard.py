"""A user's mistake under Snakemake: one line instead of an exception of one of its functions with a traceback."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from harness.errors import UserError

T = TypeVar("T")


@contextmanager
def one_line() -> Iterator[None]:
    """End the program with one line on a UserError.

    SystemExit is no Exception: Snakemake neither wraps it nor falls back to an old file that happens to be there.
    """
    try:
        yield
    except UserError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")


def guarded(questions: T) -> T:
    """Return what answers the rules' questions just as `questions` does, and ends the program on a user's mistake."""
    return cast(T, _Guarded(questions))


class _Guarded:
    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        @functools.wraps(found)
        def ask(*arguments: Any, **named: Any) -> Any:
            with one_line():
                return found(*arguments, **named)

        return ask
