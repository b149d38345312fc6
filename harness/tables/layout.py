"""From a table's description and the plan to rows, columns and the question that each cell asks of the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.records.plan import Plan
from harness.tables.published import Published, read_published
from harness.tables.spec import check_methods, series, series_id


@dataclass(frozen=True)
class Query:
    """What one cell asks: a measure of one method, on one category or reduced over several."""

    dataset: str
    categories: tuple[str, ...]
    method: str
    measure: str
    policy: str | None = None
    reduced: bool = False


@dataclass(frozen=True)
class Head:
    """A row or a column as it is headed.

    Attributes:
        id: Key in the published file and in the table's JSON.
        title: Plain text; `latex` is None where escaping the title is right.
        entry: What tables/*.yaml says of it; empty for a category.
        reduced: Whether it holds a reduction over categories.
        decimals: Digits printed after the point, where they differ from the table's.
    """

    id: str
    title: str
    latex: str | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    reduced: bool = False
    decimals: int | None = None


@dataclass(frozen=True)
class Layout:
    """Rows, columns and one query (or None: there can be no number) per cell."""

    rows: list[Head]
    columns: list[Head]
    queries: list[list[Query | None]]
    published: Published


def layout(plan: Plan, spec: Mapping[str, Any]) -> Layout:
    """Lay out a table of kind grid, classes or measures. Raises ConfigError for an unknown method."""
    check_methods(spec, plan.methods)
    published = read_published(spec["published"], 2 if spec["kind"] == "classes" else 1)
    lines = [_series_head(entry, plan) for entry in series(spec)]
    if spec["kind"] == "measures":
        rows = [_text_head(row) for row in spec["rows"]]
        everything = tuple(plan.categories(spec["dataset"]))
        queries = [[_query(spec, column, row, everything) for column in lines] for row in rows]
        return Layout(rows, lines, queries, published)
    heads = [*_category_heads(plan, spec, published), *(_text_head(entry) for entry in spec["aggregates"])]
    if spec["kind"] == "classes":
        queries = [[_class_query(plan, spec, row, head) for head in heads] for row in lines]
        return Layout(lines, heads, queries, published)
    queries = [[_class_query(plan, spec, column, head) for column in lines] for head in heads]
    return Layout(heads, lines, queries, published)


def required_cells(plan: Plan, spec: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return every (dataset, category, method) that a table needs, each once, in the table's order."""
    measured = [entry for entry in series(spec) if "published_only" not in entry]
    found = dict.fromkeys((str(entry.get("dataset", spec.get("dataset"))), str(entry["method"])) for entry in measured)
    return [(dataset, category, method) for dataset, method in found for category in plan.categories(dataset)]


def _text(content: str | Mapping[str, str] | None) -> tuple[str, str | None]:
    if content is None or isinstance(content, str):
        return content or "", None
    return content["text"], content["latex"]


def _text_head(entry: Mapping[str, Any]) -> Head:
    title, latex = _text(entry["title"])
    return Head(entry["id"], title, latex, entry, reduced=True, decimals=entry.get("decimals"))


def _series_head(entry: Mapping[str, Any], plan: Plan) -> Head:
    title, latex = _text(entry.get("title"))
    if not title:
        method = plan.methods[entry["method"]]
        title, latex = method.title, method.latex
    return Head(series_id(entry), title, latex, entry)


def _datasets(spec: Mapping[str, Any]) -> list[str]:
    named = [entry["dataset"] for entry in series(spec) if "dataset" in entry]
    return list(dict.fromkeys([spec["dataset"], *named] if "dataset" in spec else named))


def _category_heads(plan: Plan, spec: Mapping[str, Any], published: Published) -> list[Head]:
    """Return the categories of all datasets of the table, in published order where they are published."""
    known: dict[str, str] = {}
    for dataset in _datasets(spec):
        for category, about in plan.categories(dataset).items():
            known.setdefault(category, about.title)
    order = [*published.columns] if spec["kind"] == "classes" else [*published.cells]
    order = [key for key in order if key in known] + [key for key in known if key not in order]
    return [Head(category, known[category]) for category in order]


def _class_query(plan: Plan, spec: Mapping[str, Any], line: Head, head: Head) -> Query | None:
    """Return the question of a method's line at a category, or at an aggregate over all of them."""
    dataset = line.entry.get("dataset", spec.get("dataset"))
    everything = tuple(plan.categories(dataset))
    if head.reduced:
        return _query(spec, line, head, everything)
    return _query(spec, line, head, (head.id,)) if head.id in everything else None


def _query(spec: Mapping[str, Any], line: Head, head: Head, categories: tuple[str, ...]) -> Query | None:
    if "published_only" in line.entry:
        return None
    dataset = line.entry.get("dataset", spec.get("dataset"))
    measure = head.entry.get("measure", spec.get("measure"))
    return Query(dataset, categories, line.entry["method"], measure, line.entry.get("policy"), head.reduced)
