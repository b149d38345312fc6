"""A table as its JSON holds it: heads, cells and what they rest on. Frozen; every view reads these types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

SCHEMA = 5
"""Version of a table's JSON; it grows when the views need what older files do not hold."""
Axis = Literal["rows", "columns"]
Role = Literal["method", "yardstick", "category", "aggregate", "measure"]


@dataclass(frozen=True)
class Text:
    """Plain text; `latex` is None where escaping it is right."""

    text: str
    latex: str | None = None


@dataclass(frozen=True, kw_only=True)
class Head:
    """A row or a column.

    Attributes:
        id: Its key in the published file.
        role: What it stands for.
        own: Whether it is a method of the paper, not a baseline.
        published_as: The published series that one under another class protocol is held against.
        measure: Of an aggregate or a measure.
    """

    id: str
    title: Text
    role: Role
    subtitles: tuple[Text, ...] = ()
    group: str | None = None
    footnotes: tuple[str, ...] = ()
    method: str | None = None
    dataset: str | None = None
    category: str | None = None
    policy: str | None = None
    published_as: str | None = None
    own: bool = False
    measure: str | None = None

    @property
    def name(self) -> str:
        """Return the whole heading in one line."""
        return ", ".join(text for text in (self.group, self.title.text, *(t.text for t in self.subtitles)) if text)


@dataclass(frozen=True, kw_only=True)
class TableCell:
    """One number with what it rests on, or the reason why there is none.

    Attributes:
        reproduced: Mean over seeds of the records that are believed; `stale` is the same of those that are not.
        count: Categories that are there and that are needed, for a reduction over categories.
        below: Whether marking everything does as well: such a number is grey and not ranked.
        rank, ranked: Among how many numbers it is the how-manieth; ties rank equal.
        shade, published_shade: 3 for the best, 2, 1, and 0 for no shade.
    """

    state: str
    reason: str | None = None
    measure: str | None = None
    policy: str | None = None
    oracle: bool = False
    decimals: int = 2
    published_decimals: int = 2
    reproduced: float | None = None
    stale: float | None = None
    spread: float | None = None
    interval: tuple[float, float] | None = None
    threshold: float | None = None
    count: tuple[int, int] | None = None
    n_seeds: int = 0
    values: tuple[float, ...] = ()
    published: float | None = None
    difference: float | None = None
    below: bool = False
    rank: int | None = None
    ranked: int = 0
    shade: int = 0
    published_shade: int = 0
    weights_origin: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    @property
    def any_value(self) -> float | None:
        """Return the reproduced number, a stale one where there is no other."""
        return self.stale if self.reproduced is None else self.reproduced


@dataclass(frozen=True, kw_only=True)
class ProtocolAbout:
    """The protocol of a table; `reduced` says that it cuts the training of every method short."""

    id: str
    title: str
    seeds: tuple[int, ...]
    reduced: bool


@dataclass(frozen=True, kw_only=True)
class DatasetUse:
    """A data set of the paper, the id of the one that is used, and its title where it is another."""

    id: str
    title: str
    used: str
    stand_in: str | None


@dataclass(frozen=True)
class Footnote:
    """A mark and what it says."""

    mark: str
    text: str


@dataclass(frozen=True, kw_only=True)
class MissingGroup:
    """Runs of which each method lacks each category with each seed; categories are "<data set>/<category>"."""

    methods: tuple[str, ...]
    categories: tuple[str, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A reason why numbers are missing, and the runs that it concerns."""

    state: str
    reason: str
    count: int
    groups: tuple[MissingGroup, ...]


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Mean distance of each measure to a published column; `nearest` is None where it cannot be told."""

    column: str
    cells: int
    distances: dict[str, float]
    nearest: str | None


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A record behind the table."""

    dataset: str
    used: str
    category: str
    method: str
    seed: int
    state: str
    path: str | None
    fingerprint: str
    fit_key: str
    data_digest: str
    weights_origin: str
    precision: str
    commit: str
    dirty: bool


@dataclass(frozen=True, kw_only=True)
class AnyTable:
    """What tables of numbers and of layers share."""

    id: str
    label: str
    paper: str
    title: str
    protocol: ProtocolAbout
    caption: str
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Table(AnyTable):
    """A table of numbers: `cells[r][c]`. `methods` names the axis along which methods and yardsticks run."""

    methods: Axis
    corner: str
    rows: tuple[Head, ...]
    columns: tuple[Head, ...]
    cells: tuple[tuple[TableCell, ...], ...]
    footnotes: tuple[Footnote, ...]
    datasets: tuple[DatasetUse, ...]
    coverage: dict[str, int]
    missing: tuple[Missing, ...]
    machines: tuple[str, ...]
    measures: dict[str, str]
    nearest_measure: tuple[Nearest, ...]
    provenance: tuple[Origin, ...]
    kind: Literal["numbers"] = "numbers"
    schema: int = SCHEMA

    @property
    def series(self) -> tuple[Head, ...]:
        """Return the heads of the methods and yardsticks."""
        return self.rows if self.methods == "rows" else self.columns

    @property
    def positions(self) -> tuple[Head, ...]:
        """Return the heads of what methods are measured at: categories with their aggregates, or measures."""
        return self.columns if self.methods == "rows" else self.rows

    def of(self, series: int) -> tuple[TableCell, ...]:
        """Return the cells of a series, position by position."""
        return self.cells[series] if self.methods == "rows" else tuple(row[series] for row in self.cells)

    def by_series(self) -> Iterator[tuple[Head, Head, TableCell]]:
        """Yield (series, position, cell) of every cell."""
        for number, head in enumerate(self.series):
            yield from ((head, position, cell) for position, cell in zip(self.positions, self.of(number), strict=True))

    def by_row(self) -> Iterator[tuple[Head, Head, TableCell]]:
        """Yield (row, column, cell) of every cell, row by row."""
        for row, cells in zip(self.rows, self.cells, strict=True):
            yield from ((row, column, cell) for column, cell in zip(self.columns, cells, strict=True))

    @property
    def foreign(self) -> bool:
        """Whether other data than the paper's stand in."""
        return any(dataset.stand_in for dataset in self.datasets)


@dataclass(frozen=True)
class Layer:
    """A layer as text: its dimensions and the size of its output."""

    dimensions: str
    output: str


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """A published layer beside a reproduced one. `word`: "" for equal ones, "size", or "differs"."""

    network: str
    layer: str
    published: Layer | None
    reproduced: Layer | None
    differences: tuple[str, ...]
    word: str
    note: str


@dataclass(frozen=True, kw_only=True)
class LayerTable(AnyTable):
    """A table of the layers of one method's networks."""

    layers: tuple[LayerRow, ...]
    kind: Literal["layers"] = "layers"
    schema: int = SCHEMA


def to_json(table: AnyTable) -> str:
    """Return the text of a table's JSON; equal tables give equal bytes."""
    return json.dumps(asdict(table), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
