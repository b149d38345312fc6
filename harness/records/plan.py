"""The plan of one protocol: which cells there are, what each is made of, and the keys and folders that follow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import gpus, paths
from harness.cell import Cell, Config, Method, Protocol, Settings
from harness.config import load_config, load_datasets, load_methods, load_protocol
from harness.data.availability import available
from harness.data.sources import raw_folder
from harness.dataset import Category, Dataset
from harness.errors import ConfigError
from harness.nearest import hint
from harness.protocols import check_protocol
from harness.records import on_cpu
from harness.records.fingerprint import Keys, keys_of, recipe_key
from harness.settings import settings_for
from harness.sides import refused, sides_for
from harness.training.weights import search_folders, weights_missing


@dataclass
class Plan:
    """Everything that planning needs, read once. Paths are relative to the current folder."""

    protocol: Protocol
    methods: Mapping[str, Method]
    datasets: Mapping[str, Dataset]
    config: Config
    work: Path = paths.WORK
    _settings: dict[tuple[str, str, str], Settings] = field(default_factory=dict)
    _keys: dict[Cell, Keys] = field(default_factory=dict)
    _gpu: bool | None = None
    _available: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _digests: dict[Path, str | None] = field(default_factory=dict)

    @classmethod
    def load(cls, protocol: str, config: Config | None = None) -> Plan:
        """Read configuration, methods, datasets and the protocol. Raises ConfigError for what is unknown."""
        settings = load_config() if config is None else config
        datasets, methods = load_datasets(settings), load_methods(settings)
        check_protocol(protocol, settings, methods, datasets)
        loaded = load_protocol(protocol, settings)
        if settings.seeds is not None:
            loaded = loaded.with_seeds(settings.seeds)
        return cls(loaded, methods, datasets, settings)

    def stand_in(self, dataset: str) -> str:
        """Return the id of the dataset that this protocol really uses for the paper's `dataset`."""
        return self.protocol.stand_ins.get(dataset, dataset)

    def categories(self, dataset: str) -> Mapping[str, Category]:
        """Return the categories of the paper's `dataset` under this protocol by id."""
        source = self.stand_in(dataset)
        if source not in self.datasets:
            raise ConfigError(f"unknown dataset '{source}'; known: {', '.join(self.datasets)}")
        return self.datasets[source].categories

    def cell(self, dataset: str, category: str, method: str, seed: int) -> Cell:
        """Return a checked cell. Raises ConfigError with the known names for one that is unknown."""
        for name, known, what in (
            (method, self.methods, "method"),
            (category, self.categories(dataset), f"category of {self.stand_in(dataset)}"),
        ):
            if name not in known:
                raise ConfigError(f"unknown {what} '{name}'; {hint(name, known)}")
        return Cell(self.protocol.id, dataset, self.stand_in(dataset), category, method, seed)

    def at(self, source: str, category: str, method: str, seed: int = 0) -> Cell:
        """Return the cell of a record's or data folder's path, in which a stand-in's id takes the dataset's place."""
        return self.cell(self.paper_dataset(source), category, method, seed)

    def paper_dataset(self, source: str) -> str:
        """Return the paper's dataset for which `source` is really used. Raises ConfigError where there is none."""
        datasets = [d for d in self.protocol.datasets if self.stand_in(d) == source]
        if not datasets:
            instead = self.protocol.stand_ins.get(source)
            hint = f"; {instead} stands in for it and takes its place in paths" if instead else ""
            raise ConfigError(f"protocol '{self.protocol.id}' uses no dataset '{source}'{hint}")
        return datasets[0]

    def method(self, cell: Cell) -> Method:
        """Return the cell's method."""
        return self.methods[cell.method]

    def dataset(self, cell: Cell) -> Dataset:
        """Return the dataset that is really used."""
        return self.datasets[cell.source]

    def seeds(self, dataset: str, method: str) -> tuple[int, ...]:
        """Return the seeds that a method is measured with on the paper's `dataset`."""
        return self.protocol.seeds_of(self.methods[method], dataset)

    def kind(self, cell: Cell) -> str:
        """Return "texture" or "object"."""
        return self.dataset(cell).categories[cell.category].kind

    def applies(self, cell: Cell) -> bool:
        """Tell whether the cell's method is meant for its category."""
        return self.method(cell).applies(cell.source, cell.category, self.kind(cell))

    def left_out(self, cell: Cell) -> str | None:
        """Return why the protocol leaves a cell out, or None: its `only` names other methods or categories."""
        for asked, name in ((self.protocol.only.methods, cell.method), (self.protocol.only.categories, cell.category)):
            if asked is not None and name not in asked:
                return f"left out: `only` of the {self.protocol.title} does not name {name}"
        return None

    def settings(self, cell: Cell) -> Settings:
        """Return the merged settings of a cell's fit."""
        names = (cell.dataset, cell.category, cell.method)
        if names not in self._settings:
            self._settings[names] = settings_for(
                self.protocol, self.method(cell), cell.dataset, cell.category, self.kind(cell)
            )
        return self._settings[names]

    def auxiliary(self, cell: Cell) -> Cell | None:
        """Return the place of the images that the cell's fit is given beside its own, or None.

        Raises ConfigError where the protocol does not prepare them as the fit's own.
        """
        settings = self.settings(cell)
        if (asked := settings.auxiliary) is None:
            return None
        prepared = self.protocol.datasets.get(asked.dataset)
        if prepared is None or prepared.channels != settings.channels:
            raise ConfigError(
                f"protocol '{self.protocol.id}': the auxiliary images of {cell.method} want an entry"
                f" datasets.{asked.dataset}: {{size: {settings.size}, channels: {settings.channels}}}"
            )
        return self.cell(asked.dataset, asked.category, cell.method, cell.seed)

    # keys

    def keys(self, cell: Cell) -> Keys:
        """Return what the cell's number depends on under today's sources."""
        if cell not in self._keys:
            self._keys[cell] = keys_of(self.protocol, self.method(cell), self.settings(cell), cell)
        return self._keys[cell]

    def key(self, cell: Cell) -> str:
        """Return the key that names the cell's fit, maps and log."""
        return self.keys(cell).fit_key

    def recipe(self, cell: Cell, size: int) -> str:
        """Return the hash of what the preparing depends on."""
        return recipe_key(self.protocol, cell.dataset, self.dataset(cell), size)

    def fingerprint(self, cell: Cell, data_digest: str) -> str:
        """Return the fingerprint that today's sources imply for the cell's record on the given data."""
        return self.keys(cell).fingerprint(data_digest)

    # folders

    def data_folder(self, cell: Cell, size: int | None = None) -> Path:
        """Return the folder with the cell's prepared data, at the fit's input size or at `size`."""
        pixels = size or self.settings(cell).size
        return self.work / "data" / cell.protocol / cell.source / cell.category / f"{pixels}px"

    def truth_folder(self, cell: Cell) -> Path:
        """Return the folder with the masks and labels that the cell is measured against."""
        return self.data_folder(cell, self.protocol.datasets[cell.dataset].size)

    def fit_folder(self, cell: Cell) -> Path:
        """Return the folder of the cell's weights, maps, log, checkpoint and status."""
        return self.work / "fits" / self.key(cell)

    def maps(self, cell: Cell) -> Path:
        """Return the file with the cell's maps and scores."""
        return self.fit_folder(cell) / "maps.npz"

    def status_file(self, cell: Cell) -> Path:
        """Return the file that says how the cell's fit ended."""
        return self.fit_folder(cell) / "status.json"

    # data

    def unavailable(self, cell: Cell) -> str | None:
        """Return why the cell cannot be measured here, or None: no such size, data, pretrained weights, GPU."""
        reason = self.refused(cell) or self._without_data(cell)
        if reason is None and (beside := self.auxiliary(cell)) is not None:
            missing = self._without_data(beside)
            reason = missing and f"auxiliary images: {missing}"
        return reason or self._without_weights(cell) or self._without_gpu(cell)

    def refused(self, cell: Cell) -> str | None:
        """Return why the cell's method cannot take images of the size that the protocol asks for, or None."""
        method = self.method(cell)
        sides = sides_for(self.protocol, method, cell.dataset, cell.category, self.kind(cell))
        return refused(method, sides, self.settings(cell))

    def too_slow(self, cell: Cell) -> str | None:
        """Return why the cell's fit is not for a CPU, or None; told from known rates, nothing is timed."""
        settings = self.settings(cell)
        if not self.protocol.needs_gpu or self.config.paper_on_cpu or not on_cpu.trains(settings):
            return None
        dataset = self.dataset(cell)
        seconds = on_cpu.seconds(cell.method, settings, dataset.categories[cell.category].counts or dataset.counts)
        if seconds is None:
            return "needs a GPU: how long a CPU would take is not known"
        if seconds <= 60 * self.config.cpu_minutes:
            return None
        return f"needs a GPU: about {on_cpu.duration(seconds)} on a CPU"

    def _without_data(self, cell: Cell) -> str | None:
        place = (cell.source, cell.category)
        if place not in self._available:
            root, dataset = self.config.data_root, self.dataset(cell)
            raw = raw_folder(dataset, self.work)
            self._available[place] = available(dataset, cell.category, Path(root) if root else None, raw)
        return self._available[place]

    def _without_gpu(self, cell: Cell) -> str | None:
        if self._gpu is None:
            self._gpu = gpus.in_reach(self.config.device)
        return None if self._gpu else self.too_slow(cell)

    def _without_weights(self, cell: Cell) -> str | None:
        options = self.settings(cell).options
        if "encoder" not in options or "encoder_weights" not in options:
            return None
        root = self.config.data_root
        inside = [Path(root, "weights"), Path(root)] if root else []
        return weights_missing(options["encoder"], options["encoder_weights"], [*search_folders(), *inside])

    def data_digest(self, cell: Cell) -> str | None:
        """Return the digest of the prepared data that the cell is measured on; None before they are prepared."""
        path = self.truth_folder(cell) / "manifest.json"
        if path not in self._digests:
            content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
            self._digests[path] = content.get("digest")
        return self._digests[path]
