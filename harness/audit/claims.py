"""The paper's sentences about its numbers, judged on the published numbers and on the reproduced ones.

published/claims.yaml holds them as structured expressions; nothing in it is executed. A check compares series at
positions; with numbers missing it is judged only as far as the missing ones cannot change the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from harness.audit.numbers import Absent, Numbers
from harness.cell import Entry
from harness.config import read_yaml, validate
from harness.paths import ROOT

CLAIMS = ROOT / "published" / "claims.yaml"
HOLDS, FAILS, UNKNOWN, NOT_JUDGED = "holds", "fails", "cannot be judged", "not judged"


@dataclass(frozen=True, kw_only=True)
class Check(Entry):
    """Series held against others at positions; workflow/schemas/claims.schema.yaml explains the keys."""

    table: str
    left: tuple[str, ...]
    right: tuple[str, ...]
    relation: str | None = None
    amount: float = 0.0
    positions: tuple[str, ...] | None = None
    at_least: int | None = None
    improvement: tuple[int, int] | None = None
    why: str = ""
    absent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Claim(Entry):
    """A sentence of the paper and the checks that must all hold."""

    id: str
    quotation: str
    place: str
    reading: str | None = None
    headline: bool = False
    steps: bool = False
    check: tuple[Check, ...]

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; see `Entry.read`."""
        return super().read({**content, "check": [Check.read(check) for check in content["check"]]}, **more)

    @property
    def tables(self) -> list[str]:
        """Return the tables that it speaks of, each once."""
        return list(dict.fromkeys(check.table for check in self.check))


@dataclass(frozen=True)
class Break:
    """Where a check does not hold: a series at a position, and what it was held against."""

    table: str
    series: str
    position: str
    left: float
    right: dict[str, float]


@dataclass(frozen=True)
class Verdict:
    """What came out, with the cells that break it or the numbers that are missing."""

    verdict: str
    detail: list[str] = field(default_factory=list)
    breaking: list[Break] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def load_claims(path: Path = CLAIMS) -> list[Claim]:
    """Return the claims. Raises ConfigError for a malformed file."""
    claims: list[dict[str, Any]] = read_yaml(path)
    validate(claims, "claims", path)
    return [Claim.read(claim) for claim in claims]


def judge_all(claims: Sequence[Claim], published: Numbers, reproduced: Numbers | None) -> list[dict[str, Any]]:
    """Return each claim with its two verdicts, ready for JSON; `reproduced` is None where they judge nothing."""
    return [
        {
            **{key: getattr(claim, key) for key in ("id", "quotation", "place", "reading")},
            "tables": claim.tables,
            "published": asdict(judge(claim, published)),
            "reproduced": asdict(Verdict(NOT_JUDGED) if reproduced is None else judge(claim, reproduced)),
        }
        for claim in claims
    ]


def judge(claim: Claim, numbers: Numbers) -> Verdict:
    """Return whether all checks of a claim hold on some numbers."""
    verdicts = [_check(check, series, numbers) for check in claim.check for series in check.left]
    words = [verdict.verdict for verdict in verdicts]
    word = FAILS if FAILS in words else UNKNOWN if UNKNOWN in words else HOLDS
    return Verdict(
        word,
        [line for verdict in verdicts for line in verdict.detail],
        [cell for verdict in verdicts for cell in verdict.breaking],
        list(dict.fromkeys(line for verdict in verdicts for line in verdict.missing)) if word == UNKNOWN else [],
    )


@dataclass(frozen=True)
class _Place:
    """One series at one position: `holds` is None where a missing number leaves it open."""

    position: str
    holds: bool | None
    left: float | None
    right: dict[str, float]
    missing: list[str]


def _check(check: Check, series: str, numbers: Numbers) -> Verdict:
    names = check.positions or numbers.positions(check.table)
    places = [_place(check, series, position, numbers) for position in names]
    missing = [line for place in places if place.holds is None for line in place.missing]
    if check.improvement is not None:
        return _range(check, series, places, missing, exact=numbers.exact)
    if check.relation == "beside":
        shown = [_sides(check, series, place) for place in places if place.left is not None and place.right]
        return Verdict(UNKNOWN, shown, [], missing)
    sure = sum(place.holds is True for place in places)
    open_ = sum(place.holds is None for place in places)
    wanted = check.at_least or len(places)
    # Other data may have fewer positions than the sentence counts: then it says nothing about them.
    judged = FAILS if sure + open_ < wanted <= len(places) else UNKNOWN
    verdict = HOLDS if sure >= wanted else judged
    detail = f"{series}: {sure} of {len(places)}" + (f", {open_} open" if open_ else "")
    if len(places) == 1 and places[0].left is not None and places[0].right:
        detail = _sides(check, series, places[0])
    # A sentence that claims only some positions is not broken by a position, but by their number.
    broken = [place for place in places if place.holds is False] if verdict == FAILS else []
    return Verdict(verdict, [detail], [_break(check, series, place) for place in broken], missing)


def _sides(check: Check, series: str, place: _Place) -> str:
    """Return the numbers of a check at a single position."""
    low, high = (pick(place.right, key=lambda name: place.right[name]) for pick in (min, max))
    against = f"{place.right[high]:g} ({high})"
    if check.relation in ("near", "beside"):
        against = f"{place.right[low]:g} ({low}) to {against}"
    elif len(place.right) > 1:
        against = f"at most {against}"
    return f"{series}: {place.position} {place.left:g} against {against}"


def _range(check: Check, series: str, places: Sequence[_Place], missing: list[str], *, exact: bool) -> Verdict:
    """Judge a range of relative improvements, in whole per cent, over the positions where there is one.

    Reproduced numbers never end where the published ones do: of them (not `exact`) the count of improvements is asked.
    """
    gains = {p.position: 100 * (p.left / max(p.right.values()) - 1) for p in places if p.holds and p.left is not None}
    open_, wanted = sum(place.holds is None for place in places), check.at_least or 1
    if exact and missing:
        return Verdict(UNKNOWN, [f"{series}: {len(missing)} numbers missing"], [], missing)
    detail, as_printed = f"{series}: above at {len(gains)} of {len(places)}", False
    if gains:
        ends = min(gains, key=lambda name: gains[name]), max(gains, key=lambda name: gains[name])
        found = [round(gains[name]) for name in ends]
        as_printed = found == [*(check.improvement or ())]
        detail += f", by {found[0]} % ({ends[0]}) to {found[1]} % ({ends[1]})"
    enough, possible = len(gains) >= wanted, len(gains) + open_ >= wanted or wanted > len(places)
    if exact:
        return Verdict(HOLDS if enough and as_printed else FAILS, [detail])
    return Verdict(HOLDS if enough else UNKNOWN if possible else FAILS, [detail], [], missing)


def _place(check: Check, series: str, position: str, numbers: Numbers) -> _Place:
    left = numbers.value(check.table, series, position)
    found = {name: numbers.value(check.table, name, position) for name in check.right}
    right = {name: value for name, value in found.items() if not isinstance(value, Absent)}
    dashes = check.absent == "not_applicable"
    absent = [value for value in found.values() if isinstance(value, Absent)]
    missing = [value.reason for value in absent if value.applicable and not (value.published and dashes)]
    if isinstance(left, Absent):
        return _Place(position, None, None, right, [left.reason, *missing])
    relation = check.relation or "above"
    if relation == "beside":
        return _Place(position, None, left, right, [check.why, *missing])
    holds = _relation(relation, left, right, check.amount)
    # A missing number may break what holds so far, never mend what is broken.
    return _Place(position, None if missing and holds else holds, left, right, missing)


def _relation(relation: str, left: float, right: Mapping[str, float], amount: float) -> bool:
    tiny = 1e-9
    if relation == "above":
        return all(left > value + tiny for value in right.values())
    if relation == "not_below":
        return all(left >= value - tiny for value in right.values())
    return all(abs(left - value) <= amount + tiny for value in right.values())


def _break(check: Check, series: str, place: _Place) -> Break:
    """Return the broken place with those of the right-hand numbers that break it."""
    relation, amount = check.relation or "above", check.amount
    assert place.left is not None
    guilty = {n: v for n, v in place.right.items() if not _relation(relation, place.left, {n: v}, amount)}
    return Break(check.table, series, place.position, place.left, guilty or place.right)
