"""Tables as data: tables/<id>.yaml, checked against a closed schema and against the methods it names."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from harness.config import read_yaml, validate
from harness.errors import ConfigError
from harness.metrics.measures import measure
from harness.paths import ROOT

FOLDER = ROOT / "tables"


def table_ids(folder: Path = FOLDER) -> list[str]:
    """Return the ids of all tables as the paper numbers them: the supplementary's first, then the main paper's."""
    return sorted((path.stem for path in folder.glob("*.yaml") if is_table(path)), key=_place)


def _place(name: str) -> tuple[bool, int, str]:
    number = re.search(r"[0-9]+", name)
    return name.startswith("main_"), int(number[0]) if number else 10**6, name


def is_table(path: Path) -> bool:
    """Return whether a file of tables/ describes a table (figures lie beside them as fig*.yaml)."""
    return not path.stem.startswith("fig")


def load_table(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Return one table's description. Raises ConfigError when it is unknown or malformed."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(f"unknown table '{name}'; known: {', '.join(table_ids(folder))}")
    spec: dict[str, Any] = read_yaml(path)
    validate(spec, "table", path)
    if spec["id"] != path.stem:
        raise ConfigError(f"{path}: id is '{spec['id']}' but must equal the file's name")
    _check_names(spec, path)
    if spec["kind"] == "layers":
        return spec
    key = "rows" if spec["kind"] == "classes" else "columns"
    return spec | {key: [entry for listed in series(spec) for entry in _expanded(listed, spec)]}


def _expanded(entry: Mapping[str, Any], spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a method's series under the class protocol as published and, if asked for, under the other beside it."""
    names = spec.get("protocols", {})
    if entry.get("dataset") not in names:
        return [dict(entry)]
    first = {**entry, "subtitles": [*entry.get("subtitles", []), names[entry["dataset"]]]}
    if "beside" not in entry:
        return [first]
    name = names[entry["beside"]]
    other = {key: entry[key] for key in ("method", "group", "title") if key in entry}
    other |= {"id": f"{series_id(entry)}@{name.replace(' ', '_')}", "published_as": series_id(entry)}
    return [first, other | {"dataset": entry["beside"], "subtitles": [name]}]


def series(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the methods of a table as it lists them: a grid's columns or a class table's rows."""
    listed: list[dict[str, Any]] = spec.get("rows", []) if spec["kind"] == "classes" else spec.get("columns", [])
    return listed


def series_id(entry: Mapping[str, Any]) -> str:
    """Return the id of a column or row: its key in the published file, the method's id by default."""
    return str(entry.get("id", entry.get("method")))


def footnotes(spec: Mapping[str, Any], *, published: bool) -> dict[str, str]:
    """Return the footnotes by key; those on the published numbers only where these are shown (`published`)."""
    return {**(spec.get("published_footnotes", {}) if published else {}), **spec.get("footnotes", {})}


def check_methods(spec: Mapping[str, Any], methods: Container[str]) -> None:
    """Raise ConfigError when the table names a method that config/methods.yaml does not know."""
    known = methods
    for entry in series(spec):
        name = entry.get("method")
        if name is not None and name not in known:
            raise ConfigError(f"tables/{spec['id']}.yaml: unknown method '{name}'; add it to config/methods.yaml")


def _check_names(spec: Mapping[str, Any], path: Path) -> None:
    quantities = [*spec.get("aggregates", []), *(spec.get("rows", []) if spec["kind"] == "measures" else [])]
    names = [spec.get("measure"), *(entry.get("measure") for entry in quantities), *spec.get("nearest_measure", [])]
    for name in names:
        if name is not None:
            measure(name, str(path))
    notes = footnotes(spec, published=True)
    used = {key for entry in series(spec) for key in entry.get("footnotes", [])}
    if used ^ set(notes):
        raise ConfigError(f"{path}: footnotes {sorted(used ^ set(notes))} are either not written or not used")
    ids = [series_id(entry) for entry in series(spec)]
    double = {name for name in ids if ids.count(name) > 1}
    if double:
        raise ConfigError(f"{path}: {sorted(double)} listed twice; give each column or row its own `id`")
