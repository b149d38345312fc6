"""Names in running text: `CAVGA-R_u` is written with an underscore, and every view sets what follows it low."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

# Only behind a capital, a star or "Net": identifiers such as cavga_r_u and best_on_test stay as they are.
_LOW = re.compile(r"(?:(?<=[A-Z*])|(?<=Net))_([a-z]{1,3}|[A-Z]{2,4}|L2)(?!\w)")


def pieces(text: str) -> list[tuple[str, bool]]:
    """Return a text cut into pieces, each with whether it is set low (the underscore left out)."""
    return [(piece, i % 2 == 1) for i, piece in enumerate(_LOW.split(text)) if piece]


def low(text: object) -> Markup:
    """Return a text as HTML, escaped, with subscripts."""
    return Markup("").join(
        Markup("<sub>{}</sub>").format(piece) if is_low else escape(piece) for piece, is_low in pieces(str(text))
    )
