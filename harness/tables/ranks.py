"""Ranks and shades: among the methods that stand side by side, and only where a rank says something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.metrics.measures import MEASURES
from harness.tables.table import TableCell

STEPS = 3
Value = Callable[[TableCell], float | None]


def ranked(cells: Sequence[TableCell], blocks: Sequence[object]) -> list[TableCell]:
    """Return the cells with `rank`, `ranked`, `shade` and `published_shade`; one ranking a block.

    Numbers that print equal rank equal, and such ties are not shaded. Not compared are oracles with others (their
    threshold has seen the test masks), numbers not above the yardstick of marking everything, means over other sets of
    categories than most, and measures that are neither better higher nor lower. Published numbers are shaded as the
    paper does: whatever they are.
    """
    done = list(cells)
    for block in dict.fromkeys(blocks):
        members = [i for i, own in enumerate(blocks) if own == block]
        everything = max((cell.count[1] for cell in (cells[i] for i in members) if cell.count), default=None)
        alike = [i for i in members if cells[i].count is None or cells[i].count[1] == everything]  # type: ignore[index] # not None here
        oracles = all(cells[i].oracle for i in members)
        compared = [i for i in alike if not cells[i].below and (oracles or not cells[i].oracle)]
        for i, (rank, tied, among) in _ranks(done, compared, _reproduced).items():
            done[i] = replace(done[i], rank=rank, ranked=among, shade=_shade(rank, tied, among))
        for i, (rank, tied, among) in _ranks(done, alike, _published).items():
            done[i] = replace(done[i], published_shade=_shade(rank, tied, among))
    return done


def _reproduced(cell: TableCell) -> float | None:
    return None if cell.reproduced is None else round(cell.reproduced, cell.decimals)


def _published(cell: TableCell) -> float | None:
    return cell.published


def _ranks(cells: Sequence[TableCell], members: Sequence[int], value: Value) -> dict[int, tuple[int, bool, int]]:
    """Return, for each member with a number, its rank, whether it shares it, and among how many."""
    found: dict[int, float] = {}
    for i in members:
        own, measure = value(cells[i]), cells[i].measure
        better = MEASURES[measure].better if measure else "neither"
        if own is not None and better != "neither":
            found[i] = -own if better == "lower" else own
    numbers = list(found.values())
    return {i: (1 + sum(n > own for n in numbers), numbers.count(own) > 1, len(numbers)) for i, own in found.items()}


def _shade(rank: int, tied: bool, among: int) -> int:
    """Return 3, 2, 1 for the first three of enough numbers, so that the last one never has a shade."""
    return 0 if tied or rank >= among else max(STEPS + 1 - rank, 0)
