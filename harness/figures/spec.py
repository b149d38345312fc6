"""Figures as data: tables/fig*.yaml, checked against a closed schema and against the methods they name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import read_yaml, validate
from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records.plan import Plan
from harness.tables.spec import is_table

FOLDER = ROOT / "tables"


def figure_ids(folder: Path = FOLDER) -> list[str]:
    """Return the ids of all figures, in the order of their files' names."""
    return sorted(path.stem for path in folder.glob("*.yaml") if not is_table(path))


def load_figure(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return one figure's description, by its id or by the path of its file. Raises ConfigError for a bad one."""
    path = folder / f"{name}.yaml"
    if name.endswith(".yaml") and Path(name).is_file():
        path = Path(name)
        name, folder = path.stem, path.parent
    if name not in figure_ids(folder):
        raise ConfigError(f"unknown figure '{name}'; known: {', '.join(figure_ids(folder))}")
    spec: dict[str, Any] = read_yaml(path)
    validate(spec, "figure", path)
    if spec["id"] != path.stem:
        raise ConfigError(f"{path}: id is '{spec['id']}' but must equal the file's name")
    if spec["part"] > spec["parts"]:
        raise ConfigError(f"{path}: part {spec['part']} of {spec['parts']} parts; lower `part` or raise `parts`")
    if spec["choose_by"] not in spec["methods"]:
        raise ConfigError(f"{path}: choose_by '{spec['choose_by']}' is none of its methods; name one of them")
    return spec


def check_methods(spec: Mapping[str, Any], plan: Plan) -> None:
    """Raise ConfigError when the figure names a method that config/methods.yaml does not know."""
    for name in spec["methods"]:
        if name not in plan.methods:
            raise ConfigError(f"tables/{spec['id']}.yaml: unknown method '{name}'; add it to config/methods.yaml")


def shown_categories(plan: Plan, spec: Mapping[str, Any]) -> list[str]:
    """Return the categories of the figure's part: consecutive, and as evenly spread as they can be."""
    names = list(plan.categories(spec["dataset"]))
    size, more = divmod(len(names), spec["parts"])
    before = spec["part"] - 1
    start = before * size + min(before, more)
    return names[start : start + size + (spec["part"] <= more)]


def required_cells(plan: Plan, spec: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return every (dataset, category, method) whose maps the figure shows."""
    check_methods(spec, plan)
    return [(spec["dataset"], name, method) for name in shown_categories(plan, spec) for method in spec["methods"]]
