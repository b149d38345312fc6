"""Two methods or two folders of records compared, as text for a terminal or as Markdown for a summary of CI."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.audit.compare import (
    OUTSIDE,
    SAME,
    WITHIN,
    Difference,
    Place,
    Seeds,
    Whole,
    differences,
    method_samples,
    read_folder,
    wholes,
)
from harness.audit.verdict_markdown import estimate
from harness.cell import Method
from harness.errors import ConfigError, UserError
from harness.metrics.measures import measure as known_measure
from harness.nearest import hint

HEAD = ("measure", "left", "right", "difference", "over seeds", "over images", "on")


@dataclass(frozen=True)
class Comparison:
    """What was found: differences as a whole, and between folders cell by cell (grouped, with what one side lacks)."""

    left: str
    right: str
    wholes: tuple[Whole, ...]
    cells: tuple[str, ...] = ()
    too_large: bool = False

    def text(self, measures: Collection[str] | None = None, *, markdown: bool = False) -> str:
        """Return the comparison; of the chosen measures only. Raises ConfigError for an unknown measure."""
        for name in measures or ():
            known_measure(name, "--measures")
        shown = [one for one in self.wholes if measures is None or one.measure in measures]
        parts = [f"{'## ' if markdown else ''}{self.left} (left) against {self.right} (right)"]
        for where in dict.fromkeys(one.where for one in shown):
            rows = [HEAD, *(_row(one) for one in shown if one.where == where)]
            parts += [f"{'### ' if markdown else ''}{where}", _markdown(rows) if markdown else _aligned(rows)]
        cells = [f"```\n{chr(10).join(self.cells)}\n```" if markdown else "\n".join(self.cells)] if self.cells else []
        return "\n\n".join([*parts, *cells]) if markdown else "\n".join([*parts, *cells])


def methods(left: str, right: str, known: Mapping[str, Method], folder: Path) -> Comparison:
    """Compare two methods by the records in a folder. Raises ConfigError for an unknown one, UserError for none."""
    pair = [_method(name, known) for name in (left, right)]
    found = read_folder(folder)
    sides = [method_samples(found, method) for method in pair]
    for method, side in zip(pair, sides, strict=True):
        if not side:
            raise UserError(f"{folder}: no record of {method.id} there; measure it, or give --records work/records")
    whole = tuple(wholes(sides[0], sides[1]))
    if not whole:
        raise UserError(
            f"{folder}: {pair[0].id} and {pair[1].id} have no cell in common; measure both on the same data"
        )
    return Comparison(pair[0].title, pair[1].title, whole)


def folders(left: Path, right: Path, known: Mapping[str, Method], *, everything: bool) -> Comparison:
    """Compare two folders of records. Raises EvidenceError for a folder that is not there or an altered record."""
    before, after = read_folder(left), read_folder(right)
    cells = list(differences(before, after))
    ids = dict.fromkeys(place[3] for place in before if place[3] in known)
    whole = [
        one
        for name in ids
        for one in wholes(method_samples(before, known[name]), method_samples(after, known[name]), name)
    ]
    large = any(difference.verdict == OUTSIDE for difference in cells)
    lines = [*_by_machine(cells, everything=everything), *_alone((left, before), (right, after))]
    return Comparison(str(left), str(right), tuple(whole), tuple(lines), large)


def _method(name: str, known: Mapping[str, Method]) -> Method:
    titles = {method.title: method for method in known.values()}
    if name in known or name in titles:
        return known[name] if name in known else titles[name]
    raise ConfigError(f"'{name}' is neither a folder nor a method; {hint(name, [*known, *titles])}")


def _by_machine(found: Sequence[Difference], *, everything: bool) -> list[str]:
    hidden = {SAME} if everything else {SAME, WITHIN}
    lines = []
    for machines in dict.fromkeys(difference.machines for difference in found):
        group = [difference for difference in found if difference.machines == machines]
        counts = Counter(difference.verdict for difference in group)
        cells = len({difference.place for difference in group})
        counted = ", ".join(f"{number} {word}" for word, number in sorted(counts.items()))
        lines.append(f"{machines[0]} → {machines[1]}: {cells} cells; {counted}")
        lines += [f"    {difference.line}" for difference in group if difference.verdict not in hidden]
    return lines


def _alone(*sides: tuple[Path, Mapping[Place, Seeds]]) -> list[str]:
    lines = []
    for (folder, own), (_, others) in (sides, sides[::-1]):
        alone = sum(not seeds.keys() & others.get(place, {}).keys() for place, seeds in own.items())
        lines += [f"only in {folder}: {alone} cells"] if alone else []
    return lines


def _row(one: Whole) -> tuple[str, ...]:
    paired = one.paired
    ends = [estimate(None if end is None else asdict(end)) for end in (paired.over_seeds, paired.over_images)]
    on = f"{_plural(len(paired.categories), 'category', 'categories')}, {_plural(paired.seeds, 'seed', 'seeds')}"
    return (one.measure, f"{paired.left:.3f}", f"{paired.right:.3f}", f"{paired.difference:+.3f}", *ends, on)


def _plural(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    head, *others = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *others])


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
