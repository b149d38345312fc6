"""Curves behind plots and report: IoU against the threshold, with the paper's points, and losses while training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import paths
from harness.records.losses import main_loss
from harness.records.reading import read_record
from harness.tables.table import AnyTable, Head, Table, TableCell


@dataclass(frozen=True)
class Curve:
    """One line of a plot, or, if `published`, points as the paper prints them."""

    name: str
    x: list[float]
    y: list[float]
    published: bool = False


def published_points(tables: Mapping[str, AnyTable]) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Return the paper's IoU at fixed thresholds by (method, category), where several are published."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for column, row, cell in _fixed_iou(tables):
        if cell.published is not None:
            threshold = float(str(column.policy).removeprefix("fixed:"))
            found.setdefault((str(column.method), row.id), []).append((threshold, cell.published))
    return {key: sorted(set(points)) for key, points in found.items() if len(points) > 1}


def threshold_curves(tables: Mapping[str, AnyTable], base: Path = Path()) -> dict[str, list[Curve]]:
    """Return, by category, the curves of the methods that a table shows at several thresholds."""
    points = published_points(tables)
    counted: dict[tuple[str, str], list[TableCell]] = {}
    titles: dict[str, str] = {}
    for column, row, cell in _fixed_iou(tables):
        if row.role == "category":
            counted.setdefault((str(column.method), row.id), []).append(cell)
            titles[row.id] = row.title.text
    found: dict[str, list[Curve]] = {}
    for (method, category), cells in counted.items():
        if len(cells) < 2:
            continue
        names = dict.fromkeys(name for cell in cells for name in cell.records)
        curves = [curve for name in names if (curve := _curve(base / paths.found(name), method)) is not None]
        published = points.get((method, category))
        if published:
            curves.append(Curve("published", [x for x, _ in published], [y for _, y in published], published=True))
        if curves:
            found[titles[category]] = curves
    return found


def _fixed_iou(tables: Mapping[str, AnyTable]) -> Iterator[tuple[Head, Head, TableCell]]:
    """Yield (series, position, cell) of those that name their own fixed threshold: one method in several series."""
    for table in tables.values():
        if isinstance(table, Table):
            methods = [head.method for head in table.series]
            for head, position, cell in table.by_series():
                fixed = str(head.policy or "").startswith("fixed:")
                if fixed and head.method and not head.category and methods.count(head.method) > 1:
                    yield head, position, cell


def _curve(path: Path, method: str) -> Curve | None:
    curve = read_record(path).curve
    if curve is None:
        return None
    pairs = [(x, y) for x, y in zip(curve["thresholds"], curve["iou"], strict=True) if x is not None and y is not None]
    return Curve(method, [x for x, _ in pairs], [y for _, y in pairs])


def loss_curves(tables: Mapping[str, AnyTable], base: Path = Path()) -> dict[str, list[Curve]]:
    """Return the training curves that the records carry, one panel a method and data set, one line a category."""
    found: dict[str, list[Curve]] = {}
    seen: set[str] = set()
    for table in (table for table in tables.values() if isinstance(table, Table)):
        titles = {head.method: head.title.text for head in table.series}
        names = {dataset.id: dataset.title for dataset in table.datasets}
        for line in table.provenance:
            if line.fit_key not in seen and line.path:
                seen.add(line.fit_key)
                losses = main_loss(read_record(base / paths.found(line.path)).losses)
                if losses is not None:
                    curve = Curve(line.category, losses["step"], losses["loss"])
                    found.setdefault(f"{titles[line.method]}\n{names[line.dataset]}", []).append(curve)
    return found
