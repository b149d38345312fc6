"""Ranks for shading: among the methods that stand side by side, ties equal, as the paper's tables shade them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.metrics.measures import MEASURES


def rank_cells(cells: Sequence[dict[str, Any]], groups: Sequence[object]) -> None:
    """Set `rank` and `ranked` of each cell: 1 is best, and how many numbers were compared.

    Only cells of one group are compared (like with like: the same data set and class protocol). Numbers that print
    equal rank equal. Cells without a believed number get rank None, and so do oracles: their threshold has seen the
    test masks, so that they would win by the threshold and not by the method. A measure that is neither better higher
    nor lower ranks nothing.
    """
    for group in dict.fromkeys(groups):
        members = [cell for cell, own in zip(cells, groups, strict=True) if own == group]
        _rank([cell for cell in members if cell["mean"] is not None and not cell["oracle"] and _compared(cell)])


def _compared(cell: dict[str, Any]) -> bool:
    return MEASURES[cell["measure"]].better != "neither"


def _rank(cells: Sequence[dict[str, Any]]) -> None:
    for cell in cells:
        sign = -1.0 if MEASURES[cell["measure"]].better == "lower" else 1.0
        own = sign * round(cell["mean"], cell["decimals"])
        cell["rank"] = 1 + sum(sign * round(other["mean"], other["decimals"]) > own for other in cells)
        cell["ranked"] = len(cells)
