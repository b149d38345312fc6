"""The known name that a misspelt one was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LISTED = 20
"""More known names than this are not all listed."""


def hint(name: object, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for a near name among the `known`, else the list of them."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, 1)
    if near:
        return f"did you mean '{near[0]}'?"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"known: {', '.join(names[:LISTED]) or 'none'}{more}"
