"""The known name that a misspelt one was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def hint(name: object, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" for a near name among the `known`, else the list of them."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, 1)
    return f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}"
