"""The plan of one protocol: which cells there are, what each depends on, and which evidence serves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.config import load_config, load_datasets, load_methods, load_protocol
from harness.data.availability import available
from harness.data.sources import raw_folder
from harness.errors import ConfigError
from harness.protocols import check_protocol
from harness.records.keys import fit_key, recipe_key, record_fingerprint
from harness.records.reading import read_record
from harness.records.status import Evidence
from harness.settings import Settings, applies, settings_for


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
    def arguments(self) -> str:
        """Return the command line arguments that name this cell."""
        return (
            f"--protocol {self.protocol} --dataset {self.dataset} --category {self.category}"
            f" --method {self.method} --seed {self.seed}"
        )

    @property
    def record(self) -> Path:
        """Return the record's path below records/ or work/records/."""
        return Path(self.protocol, self.source, self.category, self.method, f"seed{self.seed}.json")


@dataclass
class Plan:
    """Everything that planning needs, read once. Paths are relative to the current folder."""

    protocol: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    datasets: dict[str, dict[str, Any]]
    config: dict[str, Any]
    work: Path = Path("work")
    _settings: dict[tuple[str, str, str], Settings] = field(default_factory=dict)
    _keys: dict[Cell, str] = field(default_factory=dict)
    _available: dict[tuple[str, str], str | None] = field(default_factory=dict)
    _digests: dict[Path, str | None] = field(default_factory=dict)

    @classmethod
    def load(cls, protocol: str, config: Mapping[str, Any] | None = None) -> Plan:
        """Read configuration, methods, datasets and the protocol. Raises ConfigError for what is unknown."""
        settings = load_config() if config is None else dict(config)
        datasets = load_datasets(settings)
        methods = load_methods()
        check_protocol(protocol, settings, methods, datasets)
        return cls(load_protocol(protocol, settings), methods, datasets, settings)

    def stand_in(self, dataset: str) -> str:
        """Return the id of the dataset that this protocol really uses for the paper's `dataset`."""
        return str(self.protocol["stand_ins"].get(dataset, dataset))

    def categories(self, dataset: str) -> dict[str, dict[str, Any]]:
        """Return the categories of the paper's `dataset` under this protocol: id to title and kind."""
        source = self.stand_in(dataset)
        if source not in self.datasets:
            raise ConfigError(f"unknown dataset '{source}'; known: {', '.join(self.datasets)}")
        categories: dict[str, dict[str, Any]] = self.datasets[source]["categories"]
        return categories

    def cell(self, dataset: str, category: str, method: str, seed: int) -> Cell:
        """Return a checked cell. Raises ConfigError with the known names for one that is unknown."""
        for name, known, what in (
            (method, self.methods, "method"),
            (category, self.categories(dataset), f"category of {self.stand_in(dataset)}"),
        ):
            if name not in known:
                raise ConfigError(f"unknown {what} '{name}'; known: {', '.join(known)}")
        return Cell(self.protocol["id"], dataset, self.stand_in(dataset), category, method, seed)

    def at(self, source: str, category: str, method: str, seed: int = 0) -> Cell:
        """Return the cell of a record's or data folder's path, in which a stand-in's id takes the dataset's place."""
        datasets = [d for d in self.protocol["datasets"] if self.stand_in(d) == source]
        if not datasets:
            instead = self.protocol["stand_ins"].get(source)
            hint = f"; {instead} stands in for it and takes its place in paths" if instead else ""
            raise ConfigError(f"protocol '{self.protocol['id']}' uses no dataset '{source}'{hint}")
        return self.cell(datasets[0], category, method, seed)

    def settings(self, cell: Cell) -> Settings:
        """Return the merged settings of a cell's fit."""
        place = (cell.dataset, cell.category, cell.method)
        if place not in self._settings:
            method, kind = self.methods[cell.method], self.kind(cell)
            self._settings[place] = settings_for(self.protocol, method, cell.method, cell.dataset, cell.category, kind)
        return self._settings[place]

    def kind(self, cell: Cell) -> str:
        """Return "texture" or "object"."""
        return str(self.datasets[cell.source]["categories"][cell.category].get("kind", "object"))

    def applies(self, cell: Cell) -> bool:
        """Tell whether the cell's method is meant for its category."""
        return applies(self.methods[cell.method], cell.source, cell.category, self.kind(cell))

    def key(self, cell: Cell) -> str:
        """Return the key that names the cell's fit, maps and log."""
        if cell not in self._keys:
            threads = self.protocol["threads"]
            self._keys[cell] = fit_key(
                self.protocol, self.settings(cell), cell.source, cell.category, cell.seed, threads
            )
        return self._keys[cell]

    def data_folder(self, cell: Cell, size: int | None = None) -> Path:
        """Return the folder with the cell's prepared data, at the fit's input size or at `size`."""
        pixels = size or self.settings(cell).size
        return self.work / "data" / cell.protocol / cell.source / cell.category / f"{pixels}px"

    def fit_folder(self, cell: Cell) -> Path:
        """Return the folder of the cell's weights, log, checkpoint and marker."""
        return self.work / "fits" / self.key(cell)

    def maps(self, cell: Cell) -> Path:
        """Return the file with the cell's exported maps and scores; its marker lies beside it as .json."""
        return self.work / "maps" / f"{self.key(cell)}.npz"

    def truth_folder(self, cell: Cell) -> Path:
        """Return the folder with the masks and labels that the cell is measured against."""
        return self.data_folder(cell, self.protocol["datasets"][cell.dataset]["size"])

    def recipe(self, cell: Cell, size: int) -> str:
        """Return the hash of what the preparing depends on."""
        return recipe_key(self.protocol, cell.dataset, self.datasets[cell.source], size)

    def unavailable(self, cell: Cell) -> str | None:
        """Return why the cell's data cannot be had, or None."""
        place = (cell.source, cell.category)
        if place not in self._available:
            root = self.config["data_root"]
            entry = self.datasets[cell.source]
            raw = raw_folder(entry, self.work)
            self._available[place] = available(entry, cell.category, Path(root) if root else None, raw)
        return self._available[place]

    def data_digest(self, cell: Cell) -> str | None:
        """Return the digest of the prepared data that the cell is measured on; None before they are prepared."""
        path = self.truth_folder(cell) / "manifest.json"
        if path not in self._digests:
            self._digests[path] = json.loads(path.read_text())["digest"] if path.exists() else None
        return self._digests[path]

    def fingerprint(self, cell: Cell, data_digest: str) -> str:
        """Return the fingerprint that today's sources imply for the cell's record on the given data."""
        return record_fingerprint(self.protocol, self.methods[cell.method], self.key(cell), data_digest)

    @cached_property
    def policy(self) -> str:
        """Return the evidence policy: auto, recorded or fresh."""
        return str(self.config["evidence"])

    def evidence(self, dataset: str, category: str, method: str, seed: int) -> Evidence:
        """Return what stands behind a cell now. Reads records; measures nothing."""
        cell = self.cell(dataset, category, method, seed)
        if not self.applies(cell):
            return Evidence("not_applicable", "the method is not meant for this category")
        accepted = self.accepted(cell)
        if accepted.state == "recorded":
            return accepted
        fresh = self._fresh(cell) if self.policy != "recorded" else None
        if fresh is not None:
            return fresh
        if accepted.record is not None:
            return accepted
        # Under "recorded" a table says the same on every machine, whatever data lie on it.
        reason = None if self.policy == "recorded" else self.unavailable(cell)
        return accepted if reason is None else Evidence("unavailable", reason)

    def accepted(self, cell: Cell) -> Evidence:
        """Return the accepted record's evidence: recorded, stale, or not measured when there is none to use."""
        path = Path("records") / cell.record
        if self.policy == "fresh" or not path.exists():
            recorded = self.policy == "recorded"
            missing = "no accepted record; evidence: recorded measures nothing" if recorded else "no record yet"
            return Evidence("not_measured", missing)
        record = read_record(path, cell)
        digest = self.data_digest(cell) or record["data_digest"]
        if record["fingerprint"] == self.fingerprint(cell, digest):
            return Evidence("recorded", None, record, str(path))
        return Evidence("stale", "sources or data changed since it was accepted", record, str(path))

    def _fresh(self, cell: Cell) -> Evidence | None:
        path = self.work / "records" / cell.record
        if not path.exists():
            return None
        record = read_record(path, cell)
        if record["status"] == "failed":
            return Evidence("failed", record["reason"], record, str(path))
        if record["fingerprint"] != self.fingerprint(cell, self.data_digest(cell) or record["data_digest"]):
            return Evidence("stale", "sources or data changed since it was measured", record, str(path))
        return Evidence("measured", None, record, str(path))

    def needed(self, dataset: str, category: str, method: str, seed: int) -> Path | None:
        """Return the record that a table has to wait for: an accepted one, one to be measured, or None."""
        cell = self.cell(dataset, category, method, seed)
        if not self.applies(cell):
            return None
        accepted = self.accepted(cell)
        if accepted.state == "recorded" or self.policy == "recorded":
            return Path(accepted.path) if accepted.path else None
        return None if self.unavailable(cell) else self.work / "records" / cell.record
