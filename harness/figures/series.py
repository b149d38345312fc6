"""Curves behind plots and report: IoU against the threshold, with the paper's points, and losses while training."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import paths
from harness.errors import EvidenceError

MOST_POINTS = 80


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


def threshold_curves(tables: Mapping[str, Mapping[str, Any]], work: Path = Path()) -> dict[str, list[Curve]]:
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
        curves = [curve for name in names if (curve := _curve(work / paths.found(name), method)) is not None]
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
    try:
        curve = json.loads(path.read_text())["curve"]
    except (OSError, ValueError, KeyError) as error:
        raise EvidenceError(f"{path}: not a readable record ({error}); build its table again") from None
    if curve is None:
        return None
    pairs = [(x, y) for x, y in zip(curve["thresholds"], curve["iou"], strict=True) if y is not None]
    return Curve(method, [x for x, _ in pairs], [y for _, y in pairs])


def loss_curves(tables: Mapping[str, Mapping[str, Any]], work: Path = Path("work")) -> dict[str, list[Curve]]:
    """Return the training curves, one panel a method and data set, one line a category; no log, no line."""
    found: dict[str, list[Curve]] = {}
    seen: set[str] = set()
    for table in tables.values():
        titles = {method: head["title"] for head, method in _methods(table)}
        names = {dataset["id"]: dataset["title"] for dataset in table.get("datasets", [])}
        for line in table.get("provenance", []):
            if line["fit_key"] not in seen:
                seen.add(line["fit_key"])
                losses = read_losses(work / "fits" / line["fit_key"] / "log.jsonl")
                if losses is not None:
                    curve = Curve(line["category"], losses["step"], losses["loss"])
                    found.setdefault(f"{titles[line['method']]}\n{names[line['dataset']]}", []).append(curve)
    return found


def _methods(table: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], str]]:
    heads = table["rows"] if table["kind"] == "classes" else table.get("columns", [])
    return [(head, head["method"]) for head in heads if head.get("method")]


def record_losses(record: Mapping[str, Any], work: Path) -> dict[str, list[float]] | None:
    """Return the training losses of the fit's log, where it lies here."""
    return read_losses(work / "fits" / record["fit_key"] / "log.jsonl")


def read_losses(path: Path) -> dict[str, list[float]] | None:
    """Return step and loss of the longest loop of a training log, thinned; None when there is none to show.

    The loss is the one called `loss`, or of several optimisers the first one's.
    """
    if not path.is_file():
        return None
    loops: dict[str, list[tuple[float, float]]] = {}
    for text in path.read_text().splitlines():
        line = _object(text)
        names = [name for name in line if name == "loss" or name.endswith(".loss")]
        if names and "step" in line and isinstance(line[names[0]], int | float):
            loops.setdefault(str(line.get("loop")), []).append((line["step"], line[names[0]]))
    points = max(loops.values(), key=len, default=[])
    if len(points) < 2:
        return None
    every = -(-len(points) // MOST_POINTS)
    kept = points[::every] if (len(points) - 1) % every == 0 else [*points[::every], points[-1]]
    return {"step": [x for x, _ in kept], "loss": [float(f"{y:.4g}") for _, y in kept]}


def _object(text: str) -> dict[str, Any]:
    """Return one line of a log; a line that a killed process left unfinished says nothing."""
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}
