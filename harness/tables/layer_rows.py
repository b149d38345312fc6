"""Reproduced layers beside the published ones: rows matched by what they do, differences marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

Row = Mapping[str, str]
COMPARED = ("network", "operation", "kernel", "filters", "stride", "pad", "output")
SIZES = ("filters", "output")
"""What follows from the size of the images; rows are matched by the rest."""


@dataclass(frozen=True)
class Pair:
    """A published and a reproduced row; None where there is none. `differences` names the columns that disagree."""

    published: Row | None
    reproduced: Row | None
    differences: tuple[str, ...]


def align(published: Sequence[Row], reproduced: Sequence[Row]) -> list[Pair]:
    """Match two layer lists in order; a row without a partner differs in every column."""
    matched = [column for column in COMPARED if column not in SIZES]
    keys = [[tuple(row[column] for column in matched) for row in rows] for rows in (published, reproduced)]
    pairs: list[Pair] = []
    for _, a, b, c, d in SequenceMatcher(a=keys[0], b=keys[1], autojunk=False).get_opcodes():
        pairs += [_pair(published[a + k], reproduced[c + k]) for k in range(min(b - a, d - c))]
        pairs += [Pair(row, None, COMPARED) for row in published[a + d - c : b]]
        pairs += [Pair(None, row, COMPARED) for row in reproduced[c + b - a : d]]
    return pairs


def _pair(published: Row, reproduced: Row) -> Pair:
    return Pair(published, reproduced, tuple(c for c in COMPARED if published[c] != reproduced[c]))
