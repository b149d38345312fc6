"""Curves behind plots and report: IoU against the threshold, with the paper's points, and losses while training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.records.losses import main_loss
from harness.records.reading import read_record


@dataclass(frozen=True)
class Curve:
    """One line of a plot, or, if `published`, points as the paper prints them."""

    name: str
    x: list[float]
    y: list[float]
    published: bool = False


def published_points(tables: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return the paper's IoU at fixed thresholds by (method, category), where several are published."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for column, row, cell in _fixed_iou(tables):
        if cell["published"] is not None:
            threshold = float(column["policy"].removeprefix("fixed:"))
            found.setdefault((column["method"], row["id"]), []).append((threshold, cell["published"]))
    return {key: sorted(set(points)) for key, points in found.items() if len(points) > 1}


def threshold_curves(tables: Mapping[str, Mapping[str, Any]], base: Path = Path()) -> dict[str, list[Curve]]:
    """Return, by category, the curves of the methods that a table shows at several thresholds."""
    points = published_points(tables)
    counted: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    titles: dict[str, str] = {}
    for column, row, cell in _fixed_iou(tables):
        if not row["reduced"]:
            counted.setdefault((column["method"], row["id"]), []).append(cell)
            titles[row["id"]] = row["title"]
    found: dict[str, list[Curve]] = {}
    for (method, category), cells in counted.items():
        if len(cells) < 2:
            continue
        names = dict.fromkeys(name for cell in cells for name in cell["records"])
        curves = [curve for name in names if (curve := _curve(base / paths.found(name), method)) is not None]
        published = points.get((method, category))
        if published:
            curves.append(Curve("published", [x for x, _ in published], [y for _, y in published], published=True))
        if curves:
            found[titles[category]] = curves
    return found


def _fixed_iou(
    tables: Mapping[str, Mapping[str, Any]],
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """Yield (column, row, cell) of the columns that name their own fixed threshold: one method in several columns."""
    for table in tables.values():
        if table["kind"] != "grid":
            continue
        methods = [column["method"] for column in table["columns"]]
        for c, column in enumerate(table["columns"]):
            fixed = str(column["policy"] or "").startswith("fixed:")
            if fixed and column["method"] and methods.count(column["method"]) > 1:
                yield from ((column, row, row["cells"][c]) for row in table["rows"])


def _curve(path: Path, method: str) -> Curve | None:
    curve = read_record(path).curve
    if curve is None:
        return None
    pairs = [(x, y) for x, y in zip(curve["thresholds"], curve["iou"], strict=True) if x is not None and y is not None]
    return Curve(method, [x for x, _ in pairs], [y for _, y in pairs])


def loss_curves(tables: Mapping[str, Mapping[str, Any]], base: Path = Path()) -> dict[str, list[Curve]]:
    """Return the training curves that the records carry, one panel a method and data set, one line a category."""
    found: dict[str, list[Curve]] = {}
    seen: set[str] = set()
    for table in tables.values():
        titles = {method: head["title"] for head, method in _methods(table)}
        names = {dataset["id"]: dataset["title"] for dataset in table.get("datasets", [])}
        for line in table.get("provenance", []):
            if line["fit_key"] not in seen:
                seen.add(line["fit_key"])
                losses = main_loss(read_record(base / paths.found(line["path"])).losses)
                if losses is not None:
                    curve = Curve(line["category"], losses["step"], losses["loss"])
                    found.setdefault(f"{titles[line['method']]}\n{names[line['dataset']]}", []).append(curve)
    return found


def _methods(table: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    heads = table["rows"] if table["kind"] == "classes" else table.get("columns", [])
    return [(head, head["method"]) for head in heads if head.get("method")]
