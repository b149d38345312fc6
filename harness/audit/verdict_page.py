"""The page that answers the question: docs/results/verdict.md, and beside it the same as JSON for report and README."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.audit.audit import load_findings
from harness.audit.claims import Claim, load_claims
from harness.audit.names import Names, named
from harness.audit.picture_readme import renewed_picture
from harness.audit.samples import Samples
from harness.audit.verdict import OPEN, Line, counts, lines
from harness.audit.verdict_head import Headline, headlines
from harness.audit.verdict_markdown import markdown
from harness.audit.verdict_readme import accepted, renewed
from harness.config import load_config, protocol_files
from harness.data.atomic import write_text
from harness.errors import ConfigError
from harness.metrics.measures import MEASURES
from harness.paths import PAPER
from harness.records.plan import Plan
from harness.tables.cells import Evidence
from harness.tables.spec import load_numbers

PAGE = Path("docs", "results", "verdict.md")
SCHEMA = 1
DIGITS = 4
PHRASES = {
    "reproduced": "reproduces {}",
    "direction only": "shows {} in direction only",
    "not reproduced": "does not reproduce {}",
    "contradicted": "contradicts {}",
    "cannot be judged": "cannot judge {}",
}


@dataclass(frozen=True)
class Verdicts:
    """The whole answer: three sentences, the numbers at their head, one line a sentence of the paper and a step."""

    sentences: tuple[str, str, str]
    headlines: tuple[Headline, ...]
    lines: tuple[Line, ...]
    names: Names
    accepted: tuple[dict[str, Any], ...] = ()

    def content(self) -> dict[str, Any]:
        """Return what the JSON holds."""
        return {
            "schema": SCHEMA,
            "sentences": list(self.sentences),
            "accepted": list(self.accepted),
            "headlines": [_rounded(asdict(found) | {"seeds": found.seeds}) for found in self.headlines],
            "counts": {what: counts(self.of(step=step)) for what, step in (("claims", False), ("steps", True))},
            "lines": [self._entry(line) for line in self.lines],
        }

    def of(self, *, step: bool) -> list[Line]:
        """Return the lines of sentences, or of steps."""
        return [line for line in self.lines if line.step == step]

    def _entry(self, line: Line) -> dict[str, Any]:
        claim = line.claim
        found = [one for one in line.comparisons if one.paired]
        return {
            "id": claim.id,
            "step": step_name(line) if line.step else None,
            **{key: getattr(claim, key) for key in ("quotation", "place", "reading", "tables")},
            "published": {"verdict": line.on_print, "detail": self.detail(line)},
            "verdict": line.word,
            "why": self.text(line.why, line),
            "basis": None if line.basis is None else asdict(line.basis),
            "comparisons": [_rounded(asdict(one)) for one in found],
            "not_compared": len(line.comparisons) - len(found),
        }

    def detail(self, line: Line) -> list[str]:
        """Return what the print says, series named as tables head them."""
        return [self.text(text, line) for text in line.on_print_detail]

    def text(self, text: str, line: Line) -> str:
        """Return a text with its identifiers named as the tables head them."""
        return named(text, self.names, line.claim.tables)


def verdicts(evidence: Sequence[Evidence] | None = None) -> Verdicts:
    """Judge everything by accepted records (or by `evidence`, the paper's protocol first)."""
    asked = accepted_evidence() if evidence is None else evidence
    claims = load_claims()
    found, heads = lines(claims, asked), headlines(claims, asked)
    counted = () if evidence else tuple(entry for records in asked for entry in accepted(records))
    return Verdicts(_sentences(found, heads), tuple(heads), tuple(found), _names(asked[0], claims), counted)


def accepted_evidence() -> list[Evidence]:
    """Return the accepted records of all protocols on the paper's own data, the paper's protocol first."""
    config = load_config({"evidence": "recorded"})
    order = sorted(protocol_files(config), key=lambda name: name != PAPER)
    plans = [plan for name in order if not (plan := accepted_plan(name)).protocol.stand_ins]
    return [Evidence(plan) for plan in plans]


def accepted_plan(protocol: str) -> Plan:
    """Return a protocol's plan by accepted records alone, whatever data are prepared on this machine."""
    plan = Plan.load(protocol, load_config({"evidence": "recorded"}))
    plan.work = paths.RECORDS / "none"
    return plan


def write(found: Verdicts, page: Path = PAGE, readme: Path | None = None) -> None:
    """Write the page, its JSON, and the verdict's place in a README. Raises ConfigError for one without its marks."""
    for path, text in _texts(found, page, readme).items():
        write_text(path, text)


def verdict_faults(page: Path = PAGE, readme: Path | None = None) -> list[str]:
    """Return what differs between committed page or README and what the accepted records give; for `verify`."""
    remedy = "run: python -m harness verdict"
    try:
        texts = _texts(verdicts(), page, readme)
    except ConfigError as error:
        return [str(error)]
    return [
        f"{path}: {'differs from what the accepted records give' if path.is_file() else 'missing'}; {remedy}"
        for path, text in texts.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def step_name(line: Line) -> str:
    """Return a step of an ablation by the columns that the paper prints: "c1 → c3"."""
    check = line.claim.check[0]
    return f"{check.right[0]} → {check.left[0]}"


def _texts(found: Verdicts, page: Path, readme: Path | None) -> dict[Path, str]:
    content = found.content()
    data = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    texts = {page: markdown(content), page.with_suffix(".json"): data}
    if readme is not None:
        texts[readme] = renewed_picture(renewed(readme, content), readme, accepted_plan)
    return texts


def _names(records: Evidence, claims: Iterable[Claim]) -> Names:
    samples = Samples(records)
    found: dict[str, dict[str, str]] = {"": {}}
    for check in (check for claim in claims for check in claim.check):
        known = found.setdefault(check.table, {})
        known |= {name: samples.title(check.table, name) for name in (*check.left, *check.right)}
    return found


def _sentences(found: Sequence[Line], heads: Sequence[Headline]) -> tuple[str, str, str]:
    whole, steps = ([line for line in found if line.step == step] for step in (False, True))
    printed = Counter(line.on_print for line in whole)
    first = (
        f"Of {len(whole)} sentences of the supplementary, measurement {_counted(whole)}; "
        f"of {len(steps)} steps of its ablation, it {_counted(steps)}."
    )
    third = (
        f"On the printed numbers alone {printed['holds']} of the {len(whole)} sentences hold, {printed['fails']} fail "
        f"and {printed['cannot be judged']} cannot be judged; {len(load_findings())} findings say what else is known "
        "of the print."
    )
    return first, _measured_sentence(found, heads), third


def _measured_sentence(found: Sequence[Line], heads: Sequence[Headline]) -> str:
    if heads:
        return f"{'; '.join(map(_headline, heads))}; all under the {heads[0].protocol}."
    if any(line.basis is not None for line in found):
        return "Some records are accepted, none of them of the methods and data of the headline."
    return "Nothing that was measured so far speaks for or against the paper."


def _counted(found: Sequence[Line]) -> str:
    if {line.word for line in found} == {OPEN}:
        return "cannot judge any yet"
    parts = [PHRASES[word].format(n) for word, n in counts(found).items()]
    return listed(parts)


def listed(parts: Sequence[str]) -> str:
    """Return "a, b and c"."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def _headline(head: Headline) -> str:
    spec = load_numbers(head.table)
    measure, digits = spec.measure, spec.decimals
    title = MEASURES[measure].title
    low, high = (f"{limit(head.by_seed):.{digits}f}" for limit in (min, max))
    seeds = f"{head.seeds} seed{'s' if head.seeds > 1 else ''}" + (f" from {low} to {high}" if low != high else "")
    where = f"{head.categories} of {head.of} categories, {seeds}"
    if head.yardstick is not None:
        where += f"; {'marking every pixel' if measure.startswith('iou') else 'a coin'}: {head.yardstick:.2f}"
    series = head.series if head.data in head.series else f"{head.data}, {head.series}"
    measured, published = (f"{number:.{digits}f}" for number in (head.measured, head.published))
    return f"{series} reaches a mean {title} of {measured} where {published} is printed ({where})"


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DIGITS)
    if isinstance(value, Mapping):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list | tuple) else value
