"""The verdict in README.md: its sentences and what is accepted, between two marks, from the content of verdict.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import ConfigError
from harness.records.reading import place_of
from harness.tables.cells import Evidence

BEGIN = "<!-- verdict: written by python -m harness verdict -->"
END = "<!-- end of the verdict -->"


def accepted(records: Evidence, folder: Path = paths.RECORDS) -> Iterator[dict[str, Any]]:
    """Yield what `folder` holds of a protocol's records that count, one entry a dataset."""
    plan = records.plan
    places = [place_of(path, folder) for path in sorted((folder / plan.protocol.id).rglob("seed*.json"))]
    counted = [cell for cell in places if records.status(*cell[1:]).state == "recorded"]
    for dataset in dict.fromkeys(cell.dataset for cell in counted):
        own, known = [cell for cell in counted if cell.dataset == dataset], plan.categories(dataset)
        methods = [plan.methods[name] for name in sorted({cell.method for cell in own})]
        yield {
            "protocol": plan.protocol.title,
            "dataset": plan.datasets[dataset].title,
            "methods": [m.title for m in methods if m.reading_of is None],
            "readings": sum(m.reading_of is not None for m in methods),
            "categories": [known[name].title for name in known if any(cell.category == name for cell in own)],
            "of": len(known),
            "seeds": len({cell.seed for cell in own}),
            "records": len(own),
        }


def accepted_sentence(found: Sequence[Mapping[str, Any]]) -> str:
    """Return one sentence on the records that count."""
    if not found:
        return "No record that counts is accepted yet."
    return "Accepted so far: " + "; ".join(map(_of_dataset, found)) + "."


def _of_dataset(one: Mapping[str, Any]) -> str:
    methods = one["methods"][0] if len(one["methods"]) == 1 else f"{len(one['methods'])} methods"
    methods += f" and {one['readings']} readings of them" if one["readings"] else ""
    where = f"{len(one['categories'])} of {one['of']} categories"
    if len(one["categories"]) < min(4, one["of"]):
        where = f"{', '.join(one['categories'])} ({where})"
    seeds = "1 seed" if one["seeds"] == 1 else f"up to {one['seeds']} seeds"
    return f"{methods} on {one['dataset']}, {where}, {one['protocol']}, {seeds}, {one['records']} records"


def paragraph(content: Mapping[str, Any]) -> str:
    """Return what stands between the marks: a line a sentence."""
    return "\n".join(f"- {text}" for text in (*content["sentences"], accepted_sentence(content["accepted"])))


def renewed(readme: Path, content: Mapping[str, Any]) -> str:
    """Return the text of a README with the verdict between its marks. Raises ConfigError where they are not there."""
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ConfigError(f"{readme}: the verdict has no place; add a line '{BEGIN}' and below it a line '{END}'")
    return f"{before}{BEGIN}\n{paragraph(content)}\n{END}{after}"
