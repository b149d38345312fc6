"""Does the paper reproduce? Each of its sentences, and each step of its ablation, with one word and its reasons.

Numbers of the paper's own protocol judge a sentence as it stands. Those of a smaller budget can speak for or against
its direction only, and only where seeds and images carry it: paired, the 95 % interval without zero, and the better
side above what finding nothing gives. No size is judged by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.audit.claims import FAILS, HOLDS, Check, Claim, judge
from harness.audit.numbers import PublishedNumbers, ReproducedNumbers
from harness.audit.paired import Paired, Sample, compare
from harness.audit.samples import Samples
from harness.cell import Protocol
from harness.paths import PAPER
from harness.tables.aggregate import aggregate
from harness.tables.cells import Evidence
from harness.tables.spec import load_numbers

REPRODUCED, DIRECTION, NOT, AGAINST, OPEN = WORDS = (
    "reproduced", "direction only", "not reproduced", "contradicted", "cannot be judged",
)  # fmt: skip
FEWEST_SEEDS = 2
ERROR = 0.05


@dataclass(frozen=True)
class Comparison:
    """One series held against another, by their titles."""

    table: str
    left: str
    right: str
    of: int
    paired: Paired | None


@dataclass(frozen=True)
class Basis:
    """What a verdict rests on: protocol, data, training images seen by the left sides (least, most)."""

    protocol: str
    data: tuple[str, ...]
    seen: tuple[int, int] | None


@dataclass(frozen=True)
class Line:
    """One sentence, or one step of an ablation, with its verdict."""

    claim: Claim
    step: bool
    on_print: str
    on_print_detail: tuple[str, ...]
    word: str
    why: str
    basis: Basis | None
    comparisons: tuple[Comparison, ...]


def lines(claims: Sequence[Claim], evidence: Sequence[Evidence]) -> list[Line]:
    """Return one line a claim, then one a step of an ablation; `evidence` by protocol, in the order of asking."""
    judges = [_Judge(records) for records in evidence]
    whole = [_line(claim, judges, step=False) for claim in claims]
    steps = [replace(claim, check=(check,)) for claim in claims if claim.steps for check in claim.check]
    return [*whole, *(_line(claim, judges, step=True) for claim in steps)]


def counts(found: Iterable[Line]) -> dict[str, int]:
    """Return how often each word was given, in the order of `WORDS`."""
    given = Counter(line.word for line in found)
    return {word: given[word] for word in WORDS if given[word]}


def _line(claim: Claim, judges: Sequence[_Judge], *, step: bool) -> Line:
    printed = judge(claim, PublishedNumbers())
    known = claim.check[0].why if all(check.relation == "beside" for check in claim.check) else None
    blank = Line(claim, step, printed.verdict, tuple(printed.detail), OPEN, known or "nothing is measured", None, ())
    if known:
        return blank
    found = [line for side in judges if (line := side.line(blank)) is not None]
    return next((line for line in found if line.word != OPEN), found[0] if found else blank)


class _Judge:
    """Judges claims by the records of one protocol."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.samples = evidence, Samples(evidence)
        self.protocol: Protocol = evidence.plan.protocol

    def line(self, blank: Line) -> Line | None:
        """Return the claim with its verdict; None where nothing that it speaks of is measured."""
        claim = blank.claim
        sides = [
            (check, left, right, self._side(check.table, left), self._side(check.table, right))
            for check in claim.check
            for left in check.left
            for right in check.right
        ]
        if not any(side[3] for side in sides):
            return None
        comparisons = tuple(self._comparison(*side) for side in sides)
        basis = Basis(self.protocol.title, self._data(sides), _seen(side[3] for side in sides))
        word, why = self._word(claim, sides, comparisons)
        return replace(blank, word=word, why=why, basis=basis, comparisons=comparisons)

    def _side(self, table: str, series: str) -> dict[tuple[str, int], Sample]:
        return self.samples.of(table, series)

    def _comparison(self, check: Check, left: str, right: str, a: _Side, b: _Side) -> Comparison:
        titles = [self.samples.title(check.table, series) for series in (left, right)]
        return Comparison(
            check.table, titles[0], titles[1], len(PublishedNumbers().positions(check.table)), compare(a, b)
        )

    def _data(self, sides: Sequence[_Pair]) -> tuple[str, ...]:
        """Return the titles of the data that the compared series are measured on."""
        found: dict[str, None] = {}
        for check, left, right, a, b in sides:
            for series, measured in ((left, a), (right, b)):
                found |= self.samples.datasets(check.table, series) if measured else {}
        return tuple(self.evidence.plan.datasets[name].title for name in found)

    def _word(self, claim: Claim, sides: Sequence[_Pair], comparisons: Sequence[Comparison]) -> tuple[str, str]:
        against = _against(sides, comparisons)
        if self.protocol.id != PAPER:
            return _direction(claim, sides, comparisons, against)
        tables = {name: aggregate(self.evidence, load_numbers(name)) for name in claim.tables}
        verdict = judge(claim, ReproducedNumbers(tables))
        if verdict.verdict == HOLDS:
            return REPRODUCED, "; ".join(verdict.detail[:2])
        if verdict.verdict == FAILS:
            return (AGAINST, against) if against else (NOT, "; ".join(verdict.detail[:2]))
        return OPEN, "; ".join(verdict.missing[:2])


_Side = dict[tuple[str, int], Sample]
_Pair = tuple[Check, str, str, _Side, _Side]


def _against(sides: Sequence[_Pair], comparisons: Sequence[Comparison]) -> str | None:
    """Return which comparison speaks against its direction, its p times the number of comparisons below 0.05."""
    for (_, _, _, left, right), found in zip(sides, comparisons, strict=True):
        p = None if found.paired is None else found.paired.p
        if found.paired is None or p is None or found.paired.sign >= 0 or not _found_something(right, found.paired):
            continue
        if p * len(comparisons) < ERROR:
            return f"{found.right} lies above {found.left}{_budgets(right, left)}"
    return None


def _budgets(better: _Side, worse: _Side) -> str:
    """Return how many images two sides saw in training, where one saw more than twice as many as the other."""
    one, other = _seen([better]), _seen([worse])
    if not one or not other or max(one[1], other[1]) <= 2 * min(one[0], other[0]):
        return ""
    return f" ({one[1]:,} images seen against {other[1]:,})"


def _direction(
    claim: Claim, sides: Sequence[_Pair], comparisons: Sequence[Comparison], against: str | None
) -> tuple[str, str]:
    """Return what a smaller budget says of the direction of a claim."""
    if any(check.relation == "near" for check in claim.check):
        return OPEN, "a smaller budget judges no size, and closeness is one"
    if against:
        return AGAINST, f"{against}, over seeds and images"
    holes = [found for found in comparisons if found.paired is None]
    if holes:
        return OPEN, f"not measured on common data: {holes[0].left} and {holes[0].right}" + _more(holes)
    few = [found for found in comparisons if found.paired and found.paired.seeds < FEWEST_SEEDS]
    if few:
        return OPEN, "one seed: nothing says how far another would move it"
    loose = [found for found in comparisons if found.paired and found.paired.p is None]
    if loose:
        return OPEN, f"no interval over images for {loose[0].left} and {loose[0].right}" + _more(loose)
    weak = [
        f for pair, f in zip(sides, comparisons, strict=True) if f.paired and not _found_something(pair[3], f.paired)
    ]
    if weak:
        return OPEN, f"{weak[0].left} is not above what finding nothing gives" + _more(weak)
    short = [f for pair, f in zip(sides, comparisons, strict=True) if f.paired and not _carried(pair[0], f)]
    if short:
        return NOT, _shortfall(short[0]) + _more(short)
    return DIRECTION, "every comparison goes the claimed way, its interval without zero"


def _carried(check: Check, found: Comparison) -> bool:
    """Tell whether a comparison shows the claimed direction, at as large a share of the categories as is claimed."""
    assert found.paired is not None
    wanted = 0.0 if check.positions else (check.at_least or found.of) / found.of
    return found.paired.sign > 0 and found.paired.above >= wanted * len(found.paired.categories)


def _shortfall(found: Comparison) -> str:
    """Return what a comparison lacks of the claimed direction."""
    assert found.paired is not None
    if found.paired.sign > 0:
        of = len(found.paired.categories)
        return f"{found.left} lies above {found.right}, but only in {found.paired.above} of {of} categories"
    return f"the direction does not show: {found.left} against {found.right}"


def _found_something(side: _Side, paired: Paired) -> bool:
    """Tell whether a side's mean lies above what finding nothing gives, on the compared categories."""
    mine = [sample for (category, _), sample in side.items() if category in paired.categories]
    known = [(sample.value, sample.yardstick) for sample in mine if sample.yardstick is not None]
    return not known or sum(value for value, _ in known) > sum(floor for _, floor in known)


def _more(found: Sequence[Comparison]) -> str:
    return f" and {len(found) - 1} more" if len(found) > 1 else ""


def _seen(sides: Iterable[_Side]) -> tuple[int, int] | None:
    found = [sample.seen for side in sides for sample in side.values() if sample.seen is not None]
    return (min(found), max(found)) if found else None
