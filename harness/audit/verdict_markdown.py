"""The verdict as Markdown, from the content of its JSON alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.audit.verdict_readme import accepted_sentence

Entry = Mapping[str, Any]
MEANING = {
    "reproduced": "measured under the paper's own protocol, and the sentence holds",
    "direction only": "measured with a smaller budget; the difference goes the claimed way, over seeds and images",
    "not reproduced": "measured, and what is claimed does not show",
    "contradicted": "measured, and the difference goes the other way, over seeds and images",
    "cannot be judged": "the reason stands beside it",
}
INTRODUCTION = """\
*Written by `python -m harness verdict` from the accepted records and the [printed numbers](../../published); `python -m
harness verify` checks it. The same as data: [verdict.json](verdict.json).*
"""
METHOD = """\
Intervals are 95 %, of paired differences: over seeds, and over the test images that both sides have (t distribution;
for an image AuROC whole test sets are drawn again, the same for both). *Unpaired*: where a record keeps no number an
image, both sides' bootstrap intervals stand in. A contradiction counts when its p times the number of comparisons is
below 0.05. A side that is not above what finding nothing gives (marking every pixel, a coin) carries no direction.
"""


def markdown(content: Entry) -> str:
    """Return the page; equal content gives equal text."""
    whole, steps = ([line for line in content["lines"] if bool(line["step"]) == step] for step in (False, True))
    parts = [
        "# Does CAVGA reproduce?\n",
        INTRODUCTION,
        "\n".join(f"- {said}" for said in (*content["sentences"], accepted_sentence(content["accepted"]))) + "\n",
        "| verdict | what it means |\n|---|---|\n" + "".join(f"| **{w}** | {text} |\n" for w, text in MEANING.items()),
        METHOD,
        "## The sentences of the supplementary\n",
        _table("sentence", whole),
        "## The ablation, step by step\n",
        _table("step", steps),
    ]
    measured = [line for line in content["lines"] if line["comparisons"]]
    return "\n".join([*parts, *(["## The comparisons\n"] if measured else []), *map(_comparisons, measured)])


def _table(head: str, lines: Sequence[Entry]) -> str:
    rows = [f"| {_what(line)} | {_on_print(line)} | {_measured(line)} | {_verdict(line)} |" for line in lines]
    return "\n".join([f"| {head} | on print | measured | verdict |", "|---|---|---|---|", *rows]) + "\n"


def _what(line: Entry) -> str:
    if line["step"]:
        return f"{line['step']}{_small([line['id']])}"
    reading = f"; read as: {line['reading']}" if line["reading"] else ""
    return f"“{_cell(line['quotation'])}”{_small([line['place'] + reading])}"


def _on_print(line: Entry) -> str:
    return f"{line['published']['verdict']}{_small(line['published']['detail'])}"


def _measured(line: Entry) -> str:
    basis = line["basis"]
    if basis is None:
        return "–"
    seen = [f"{number:,}" for number in dict.fromkeys(basis["seen"] or ())]
    images = f", {' to '.join(seen)} images seen" if seen else ""
    return (
        f"{basis['protocol']}{images}; {', '.join(basis['data'])}{_small([short(one) for one in line['comparisons']])}"
    )


def _verdict(line: Entry) -> str:
    return f"**{line['verdict']}**{_small([line['why']])}"


def _small(texts: Sequence[str], most: int = 2) -> str:
    shown = [*texts[:most], *([f"and {len(texts) - most} more"] if len(texts) > most else [])]
    return "".join(f"<br><sub>{_cell(text)}</sub>" for text in shown)


def short(found: Entry) -> str:
    """Return a comparison as one line: means, difference, its interval over seeds, what it rests on."""
    paired = found["paired"]
    seeds = paired["over_seeds"]
    interval = "" if seeds is None else f" [{seeds['low']:+.3f}, {seeds['high']:+.3f}]"
    return (
        f"{found['left']} {paired['left']:.3f} against {found['right']} {paired['right']:.3f}: "
        f"{paired['difference']:+.3f}{interval}, {len(paired['categories'])} of {found['of']} categories, "
        f"{paired['seeds']} seed{'s' if paired['seeds'] > 1 else ''}"
    )


def _comparisons(line: Entry) -> str:
    head = line["step"] or f"“{_cell(line['quotation'])}”"
    titles = "| left | right | difference | above in | over seeds | over images |\n|---|---|---|---|---|---|\n"
    rows = "\n".join(map(_row, line["comparisons"]))
    return f"<details><summary>{head}: {line['verdict']}</summary>\n\n{titles}{rows}\n\n</details>\n"


def _row(found: Entry) -> str:
    paired = found["paired"]
    sides = " | ".join(f"{found[side]} {paired[side]:.3f}" for side in ("left", "right"))
    ends = " | ".join(estimate(paired[key]) for key in ("over_seeds", "over_images"))
    return f"| {sides} | {paired['difference']:+.3f} | {paired['above']} of {len(paired['categories'])} | {ends} |"


def estimate(found: Entry | None) -> str:
    """Return an estimate as text: its mean, interval, p, and how many differences it rests on."""
    if found is None:
        return "–"
    p = "p < 0.001" if found["p"] < 0.001 else f"p = {found['p']:.3f}"
    rests = f"n = {found['count']}" if found["count"] else "unpaired"
    return f"{found['mean']:+.3f} [{found['low']:+.3f}, {found['high']:+.3f}], {p}, {rests}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
