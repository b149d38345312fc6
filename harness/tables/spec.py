"""Tables as data: tables/<id>.yaml, checked against a closed schema and against the methods it names.

Whatever the file's `kind`, a table that was read has one form: series (methods) along one axis, and along the other
the categories with their aggregates, or measures.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.cell import Method
from harness.config import load_config, read_yaml, validate
from harness.errors import ConfigError
from harness.metrics.measures import measure
from harness.nearest import hint
from harness.paths import ROOT
from harness.tables.table import Axis, Text
from harness.tables.yardsticks import TITLES

FOLDER = ROOT / "tables"
Raw = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Series:
    """One method's line. `key` names it in the published file; `published_only` says why it is not measured."""

    id: str
    key: str
    dataset: str
    method: str | None = None
    title: Text | None = None
    subtitles: tuple[Text, ...] = ()
    group: str | None = None
    policy: str | None = None
    footnotes: tuple[str, ...] = ()
    published_as: str | None = None
    published_only: str | None = None


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A measure of all categories, or an aggregate over them; `published` is the file of its printed numbers."""

    id: str
    title: Text
    measure: str
    policy: str | None = None
    decimals: int
    published: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """A table of numbers.

    Attributes:
        methods: The axis along which the series run; `series` None stands for every method.
        categories: Whether the other axis lists categories, `quantities` being its aggregates.
        blocks: Whether the series are listed once for each category, and for the mean over all.
        nearest_series: The measure in which the series nearest to print is named.
        on_request: Whether it is left out of "all tables".
    """

    id: str
    label: str
    paper: str
    title: str
    caption: str
    corner: str
    methods: Axis
    series: tuple[Series, ...] | None
    categories: bool
    blocks: tuple[Literal["mean", "categories"], ...]
    quantities: tuple[Quantity, ...]
    dataset: str | None
    measure: str
    decimals: int
    published_decimals: int | None
    published: str | None
    yardsticks: tuple[str, ...]
    footnotes: Mapping[str, str]
    published_footnotes: Mapping[str, str]
    nearest_measure: tuple[str, ...]
    nearest_series: str | None
    on_request: bool

    @property
    def unit(self) -> float:
        """Return the unit of the last printed digit."""
        return 10.0 ** -(self.decimals if self.published_decimals is None else self.published_decimals)

    @property
    def datasets(self) -> list[str]:
        """Return the paper's data sets that the table is on."""
        named = [entry.dataset for entry in self.series or ()]
        return list(dict.fromkeys([*([self.dataset] if self.dataset else []), *named]))


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """A table of layers: the printed ones in published/, and the method whose networks are listed beside them."""

    id: str
    label: str
    paper: str
    title: str
    caption: str
    published: str
    method: str
    dataset: str
    on_request: bool = False

    @property
    def datasets(self) -> list[str]:
        """Return the data set whose image size is meant."""
        return [self.dataset]


AnySpec = TableSpec | LayerSpec


def table_ids(folder: Path = FOLDER) -> list[str]:
    """Return the ids of all tables: the supplementary's as it numbers them, the main paper's, then ours."""
    return sorted((name for name, path in _files(folder).items() if is_table(path)), key=_order)


def _files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder by id; beside the repository's, the user's own (`extra_tables`)."""
    own = map(Path, load_config().extra_tables if folder == FOLDER else ())
    return {path.stem: path for path in (*folder.glob("*.yaml"), *own)}


def table_path(name: str, folder: Path = FOLDER) -> Path:
    """Return the file that describes a table. Raises ConfigError for an unknown one."""
    files = _files(folder)
    if name not in files or not files[name].is_file():
        raise ConfigError(f"unknown table '{name}'; {hint(name, table_ids(folder))}")
    return files[name]


def _order(name: str) -> tuple[bool, bool, int, str]:
    number = re.search(r"table([0-9]+)", name)
    return number is None, name.startswith("main_"), int(number[1]) if number else 0, name


def is_table(path: Path) -> bool:
    """Return whether a file of tables/ describes a table (figures lie beside them as fig*.yaml)."""
    return not path.stem.startswith("fig")


def load_table(name: str, folder: Path = FOLDER) -> AnySpec:
    """Return one table's description. Raises ConfigError when it is unknown or malformed."""
    path = table_path(name, folder)
    raw: dict[str, Any] = read_yaml(path)
    validate(raw, "table", path)
    if raw["id"] != path.stem:
        raise ConfigError(f"{path}: id is '{raw['id']}' but must equal the file's name")
    if raw["kind"] == "layers":
        return LayerSpec(**{key: value for key, value in raw.items() if key != "kind"})
    spec = _numbers(raw)
    _check_names(spec, path)
    return spec


def load_numbers(name: str) -> TableSpec:
    """Return the description of a table of numbers. Raises ConfigError for one of layers."""
    spec = load_table(name)
    if isinstance(spec, LayerSpec):
        raise ConfigError(f"{name}: a table of layers holds no numbers; name another table")
    return spec


def _numbers(raw: Raw) -> TableSpec:
    """Return the one form of a description: what a `kind` means is said here and nowhere else."""
    down = raw["kind"] in ("classes", "methods")
    listed, others = (raw["rows"], raw.get("columns", [])) if down else (raw["columns"], raw.get("rows", []))
    decimals = raw.get("decimals", 2)
    return TableSpec(
        methods="rows" if down else "columns",
        series=None if listed == "all" else tuple(_series(listed, raw)),
        categories=raw["kind"] in ("grid", "classes"),
        blocks=tuple(raw.get("blocks", ())),
        quantities=tuple(_quantity(entry, raw, decimals) for entry in raw.get("aggregates", others)),
        measure=raw.get("measure", ""),
        decimals=decimals,
        corner=raw.get("corner", ""),
        **{key: raw[key] for key in ("id", "label", "paper", "title", "caption")},
        dataset=raw.get("dataset"),
        published_decimals=raw.get("published_decimals"),
        published=raw.get("published"),
        yardsticks=tuple(raw.get("yardsticks", ())),
        nearest_measure=tuple(raw.get("nearest_measure", ())),
        nearest_series=raw.get("nearest_series"),
        footnotes=raw.get("footnotes", {}),
        published_footnotes=raw.get("published_footnotes", {}),
        on_request=raw.get("on_request", False),
    )


def _quantity(entry: Raw, raw: Raw, decimals: int) -> Quantity:
    own = entry.get("measure", raw.get("measure"))
    about = {key: entry.get(key) for key in ("policy", "published")}
    digits = entry.get("decimals", decimals)
    return Quantity(id=entry.get("id", own), title=_text(entry["title"]), measure=own, decimals=digits, **about)


def _series(listed: list[Raw], raw: Raw) -> Iterator[Series]:
    """Yield the series, those under one class protocol beside each other."""
    names = raw.get("class_protocols", {})
    found = [series for entry in listed for series in _expanded(entry, raw, names)]
    groups = dict.fromkeys(series.group for series in found)
    for group in groups if names else [None]:
        yield from (series for series in found if group is None or series.group == group)


def _expanded(entry: Raw, raw: Raw, names: Mapping[str, str]) -> Iterator[Series]:
    """Yield a method's series under the class protocol as printed and, if asked for, under the other beside it."""
    name = str(entry.get("id", entry.get("method")))
    dataset = entry.get("dataset", raw.get("dataset"))
    series = Series(
        id=name,
        key=entry.get("published", name),
        dataset=dataset,
        title=_text(entry["title"]) if "title" in entry else None,
        subtitles=tuple(map(_text, entry.get("subtitles", ()))),
        footnotes=tuple(entry.get("footnotes", ())),
        **{key: entry.get(key) for key in ("method", "group", "policy", "published_only")},
    )
    if not names:
        yield series
        return
    for number, used in enumerate([dataset, *([entry["beside"]] if "beside" in entry else [])]):
        group = ", ".join(part for part in (entry.get("group"), names[used]) if part)
        if not number:
            yield replace(series, group=group)
            continue
        other = f"{name}@{names[used].replace(' ', '_')}"
        yield replace(series, id=other, key=other, dataset=used, group=group, footnotes=(), published_as=name)


def _text(content: str | Mapping[str, str]) -> Text:
    return Text(content) if isinstance(content, str) else Text(content["text"], content["latex"])


def with_methods(spec: TableSpec, methods: Mapping[str, Method], only: Container[str] | None = None) -> TableSpec:
    """Return a table whose series are known; checks those named.

    "All" means every method but readings, or what a protocol's `only` names.
    """
    check_methods(spec, methods)
    if spec.series is not None:
        return spec
    listed = [name for name, about in methods.items() if (about.reading_of is None if only is None else name in only)]
    everyone = [Series(id=name, key=name, dataset=str(spec.dataset), method=name) for name in listed]
    return replace(spec, series=tuple(everyone))


def check_methods(spec: AnySpec, methods: Container[str]) -> None:
    """Raise ConfigError when the table names a method that config/methods.yaml does not know."""
    named = [spec.method] if isinstance(spec, LayerSpec) else [entry.method for entry in spec.series or ()]
    for name in named:
        if name is not None and name not in methods:
            raise ConfigError(f"tables/{spec.id}.yaml: unknown method '{name}'; add it to config/methods.yaml")


def _check_names(spec: TableSpec, path: Path) -> None:
    for name in [
        spec.measure,
        *(entry.measure for entry in spec.quantities),
        *spec.nearest_measure,
        spec.nearest_series,
    ]:
        if name:
            measure(name, str(path))
    for name in spec.yardsticks:
        if name not in TITLES:
            raise ConfigError(f"{path}: unknown yardstick '{name}'; known: {', '.join(TITLES)}")
    notes = {*spec.footnotes, *spec.published_footnotes}
    used = {key for entry in spec.series or () for key in entry.footnotes}
    if used ^ notes:
        raise ConfigError(f"{path}: footnotes {sorted(used ^ notes)} are either not written or not used")
    ids = [entry.id for entry in spec.series or ()]
    double = {name for name in ids if ids.count(name) > 1}
    if double:
        raise ConfigError(f"{path}: {sorted(double)} listed twice; give each column or row its own `id`")
