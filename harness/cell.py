"""The nouns of the benchmark as frozen types, built once from YAML whose schemas have checked every key.

What a method's options are is the method's own matter, so they stay a mapping; everything else has a name here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from harness import paths

Options = Mapping[str, Any]
"""Options of a detector, and training settings before they are merged: read from YAML, checked by who takes them."""
NOTHING: Mapping[str, Any] = {}


class CellKey(NamedTuple):
    """What names a record: `dataset` is the one really used (a stand-in's id)."""

    protocol: str
    dataset: str
    category: str
    method: str
    seed: int


@dataclass(frozen=True)
class Cell:
    """One number's place: the paper's dataset id, and the id of the dataset really used (`source`)."""

    protocol: str
    dataset: str
    source: str
    category: str
    method: str
    seed: int

    @property
    def key(self) -> CellKey:
        """Return the names under which the cell's record lies."""
        return CellKey(self.protocol, self.source, self.category, self.method, self.seed)

    @property
    def arguments(self) -> str:
        """Return the command line arguments that name this cell."""
        return (
            f"--protocol {self.protocol} --dataset {self.dataset} --category {self.category}"
            f" --method {self.method} --seed {self.seed}"
        )

    @property
    def record(self) -> Path:
        """Return the record's path below records/ or work/records/."""
        return paths.record(self.key)


@dataclass(frozen=True)
class Entry:
    """A frozen type that is built from a mapping of YAML: its keys are the fields' names."""

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping, lists made tuples. The schema has checked the keys; unknown ones raise TypeError."""
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in {**content, **more}.items()})

    def given(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON-like content: a new key with a default changes no hash."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != _default(f)}


def _default(f: Any) -> Any:
    return f.default if f.default_factory is MISSING else f.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, Entry):
        return value.given()
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


@dataclass(frozen=True, kw_only=True)
class Auxiliary(Entry):
    """Images that a fit is given beside its own: a category's training images, pinned by the digest of its data."""

    dataset: str
    category: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Layer(Entry):
    """What an entry lays on a method's settings: options, training, and the input side by kind of category.

    A protocol's entry may name the method's `seeds` beside: they say how often it is measured, not how.
    """

    options: Options = field(default_factory=dict)
    training: Options = field(default_factory=dict)
    zoom: Mapping[str, float] = field(default_factory=dict)
    auxiliary: Auxiliary | None = None
    sides: tuple[int | str, ...] = ()
    seeds: tuple[int, ...] | None = None

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; see `Entry.read`."""
        beside = {"auxiliary": Auxiliary.read(content["auxiliary"])} if "auxiliary" in content else {}
        return super().read({**content, **beside}, **more)


@dataclass(frozen=True, kw_only=True)
class Override(Layer):
    """A layer, and those for one dataset, kind or category on top of it."""

    by_dataset: Mapping[str, Layer] = field(default_factory=dict)
    by_kind: Mapping[str, Layer] = field(default_factory=dict)
    by_category: Mapping[str, Layer] = field(default_factory=dict)

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; see `Entry.read`."""
        special = {
            key: {name: Layer.read(layer) for name, layer in content[key].items()}
            for key in ("by_dataset", "by_kind", "by_category")
            if key in content
        }
        return super().read({**content, **special}, **more)

    def layers(self, dataset: str, category: str, kind: str) -> Iterator[Layer]:
        """Yield the layers that hold for a category, weakest first."""
        yield self
        for layers, name in ((self.by_dataset, dataset), (self.by_kind, kind), (self.by_category, category)):
            if name in layers:
                yield layers[name]


@dataclass(frozen=True, kw_only=True)
class Method(Override):
    """An entry of config/methods.yaml; the schema workflow/schemas/methods.schema.yaml explains the keys."""

    id: str
    title: str
    latex: str
    detector: str
    gives: tuple[str, ...]
    source: str
    cite: str | None = None
    score: str | None = None
    map: str | None = None
    threshold: str = "best_on_test"
    image_threshold: str = "best_on_test"
    empty_when_normal: bool = False
    validation: bool = False
    weak: bool = False
    reading_of: str | None = None
    pretrained: str | None = None
    searches: bool = False
    seedless: bool = False
    below_chance_in_demo: str | None = None
    sides_of: str = "image"
    applies_to: Mapping[str, str | tuple[str, ...]] | None = None

    @property
    def family(self) -> tuple[str, ...]:
        """Return the ids whose entries in a protocol hold here, weakest first: a reading takes its method's."""
        return (self.id,) if self.reading_of is None else (self.reading_of, self.id)

    def applies(self, source: str, category: str, kind: str) -> bool:
        """Tell whether the method is meant for a category of `source`, the dataset really used."""
        if self.applies_to is None:
            return True
        wanted = self.applies_to.get(source, self.applies_to.get("*", ()))
        return kind == wanted if isinstance(wanted, str) else category in wanted


@dataclass(frozen=True, kw_only=True)
class PreparedAs(Entry):
    """How a protocol prepares a dataset: side in pixels, channels, options of its layout."""

    size: int
    channels: int
    options: Options | None = None


@dataclass(frozen=True, kw_only=True)
class Grading(Entry):
    """A protocol's settings of the measures: see harness/metrics."""

    fixed_thresholds: tuple[float, ...]
    minimum_area: float
    curve_points: int
    bootstrap: int


@dataclass(frozen=True, kw_only=True)
class Only(Entry):
    """What a protocol is confined to; None leaves nothing out."""

    methods: tuple[str, ...] | None = None
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Protocol(Entry):
    """A file of config/protocols, with what it extends merged in."""

    id: str
    title: str
    seeds: tuple[int, ...]
    stand_ins: Mapping[str, str]
    datasets: Mapping[str, PreparedAs]
    training: Options
    limits: Options
    precision: str
    threads: int
    validation_share: float
    weak_share: float
    export_batch: int
    measures: Grading
    methods: Mapping[str, Override]
    only: Only = Only()
    needs_gpu: bool = False
    note: str | None = None
    extends: str | None = None

    def seeds_of(self, method: Method, dataset: str) -> tuple[int, ...]:
        """Return the seeds that a method is measured with on a dataset: its own, or the protocol's."""
        entries = [self.methods[name] for name in method.family if name in self.methods]
        named = [layer.seeds for entry in entries for layer in (entry, entry.by_dataset.get(dataset)) if layer]
        return next((seeds for seeds in reversed(named) if seeds is not None), self.seeds)

    @property
    def drawn(self) -> tuple[int, ...]:
        """Return every seed that any method is measured with: the data's splits are drawn for each."""
        layers = [layer for entry in self.methods.values() for layer in (entry, *entry.by_dataset.values())]
        return tuple(sorted({*self.seeds, *(seed for layer in layers for seed in layer.seeds or ())}))

    def with_seeds(self, seeds: tuple[int, ...]) -> Self:
        """Return the protocol with the same seeds for every method."""
        methods = {
            name: replace(
                entry,
                seeds=None,
                by_dataset={dataset: replace(layer, seeds=None) for dataset, layer in entry.by_dataset.items()},
            )
            for name, entry in self.methods.items()
        }
        return replace(self, seeds=seeds, methods=methods)

    @classmethod
    def read(cls, content: Mapping[str, Any], **more: Any) -> Self:
        """Build from a mapping; see `Entry.read`."""
        typed = {
            "datasets": {name: PreparedAs.read(value) for name, value in content["datasets"].items()},
            "measures": Grading.read(content["measures"]),
            "only": Only.read(content.get("only", {})),
            "methods": {name: Override.read(value) for name, value in content["methods"].items()},
        }
        return super().read({**content, **typed}, **more)


@dataclass(frozen=True, kw_only=True)
class Config(Entry):
    """config/config.yaml with the command line's and the environment's overrides; that file explains the keys."""

    data_root: str | None
    evidence: str
    device: str
    deterministic: bool
    checkpoint_seconds: float
    paper_on_cpu: bool
    cpu_minutes: float
    fits_per_gpu: int
    offline: bool
    licences_accepted: tuple[str, ...]
    extra_protocols: tuple[str, ...]
    extra_datasets: tuple[str, ...]
    extra_methods: tuple[str, ...]
    extra_tables: tuple[str, ...]
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Settings(Entry):
    """What one cell's fit is made of: the entries of protocol, method and dataset, merged."""

    detector: str
    options: Options
    training: Options
    size: int
    channels: int
    validation: bool = False
    weak: bool = False
    auxiliary: Auxiliary | None = None
