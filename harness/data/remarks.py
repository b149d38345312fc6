"""What a reader must know of prepared data: equal remarks are said once, with a count and three examples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

EXAMPLES = 3


@dataclass(frozen=True)
class Remark:
    """Something worth a warning.

    Attributes:
        text: what is the case, the same for all images that it concerns.
        example: the image or file that it concerns.
        touches_numbers: whether measured numbers depend on it; every record then says it.
    """

    text: str
    example: str
    touches_numbers: bool = False


def summarise(remarks: Iterable[Remark]) -> tuple[list[str], list[str]]:
    """Return all warnings, the important ones first, and those of them that touch the numbers."""
    groups: dict[tuple[bool, str], list[str]] = {}
    for remark in remarks:
        groups.setdefault((remark.touches_numbers, remark.text), []).append(remark.example)
    ranked = sorted(groups.items(), key=lambda group: (not group[0][0], -len(group[1]), group[0][1]))
    lines = [(touches, _line(text, sorted(examples))) for (touches, text), examples in ranked]
    return [line for _, line in lines], [line for touches, line in lines if touches]


def _line(text: str, examples: list[str]) -> str:
    if len(examples) == 1:
        return f"{text}: {examples[0]}"
    shown = ", ".join(examples[:EXAMPLES])
    return f"{text}: {len(examples)} ({shown}{', …' if len(examples) > EXAMPLES else ''})"
