"""What the workflow's rules ask: every protocol's plan, and the fits and data behind the wildcards of a path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from harness.cell import Cell, Config
from harness.config import protocol_files
from harness.data.sources import raw_folder, stamp_path
from harness.dataset import Dataset
from harness.errors import ConfigError
from harness.paths import ROOT
from harness.protocols import check_files
from harness.records.code_digest import code_digest
from harness.records.fingerprint import digest
from harness.records.plan import Plan
from harness.records.status import awaited
from harness.tables.layout import required_cells
from harness.tables.spec import check_methods, load_table, table_ids
from harness.workflow.job_status import attempts, failure_name
from harness.workflow.user_datasets import OwnData


class Grid:
    """The plans of all protocols over all tables. Methods are the input and parameter functions of the rules."""

    def __init__(self, config: Config) -> None:
        self.config = config
        check_files(self.config)
        self.protocols = list(protocol_files(self.config))
        self.tables = table_ids()
        self._own_data = OwnData(self.config)
        self._plans: dict[str, Plan] = {}
        self._fits: dict[str, dict[str, Cell]] = {}
        self._specs: dict[str, dict[str, Any]] = {}
        self._cells: dict[tuple[str, str], list[Cell]] = {}

    def plan(self, protocol: str) -> Plan:
        """Return the plan of a protocol, loaded once."""
        if protocol not in self._plans:
            self._plans[protocol] = Plan.load(protocol, self.config)
        return self._plans[protocol]

    def spec(self, table: str) -> dict[str, Any]:
        """Return a table's description, loaded once."""
        if table not in self._specs:
            self._specs[table] = load_table(table)
        return self._specs[table]

    def _fits_of(self, protocol: str) -> dict[str, Cell]:
        """Return one cell per fit key of a protocol, over all tables.

        Of the methods that share a fit, the first of config/methods.yaml names it: another table or column must not
        change a fit's command, and so repeat it.
        """
        if protocol not in self._fits:
            plan = self.plan(protocol)
            fits = self._fits[protocol] = {}
            order = {method: number for number, method in enumerate(plan.methods)}
            cells = [cell for table in self.tables for cell in self.cells(protocol, table)]
            for cell in sorted(cells, key=lambda cell: order[cell.method]):
                fits.setdefault(plan.key(cell), cell)
        return self._fits[protocol]

    def cells(self, protocol: str, table: str) -> list[Cell]:
        """Return the cells of a table under a protocol that a method is meant for."""
        if (protocol, table) not in self._cells:
            plan = self.plan(protocol)
            check_methods(self.spec(table), plan.methods)
            cells = [
                plan.cell(dataset, category, method, seed)
                for dataset, category, method in required_cells(plan, self.spec(table))
                for seed in plan.protocol.seeds
            ]
            meant = [c for c in cells if plan.applies(c)]
            self._cells[protocol, table] = meant
        return self._cells[protocol, table]

    def _cell(self, key: str) -> tuple[Plan, Cell]:
        # Protocols that the build asked for come first: the others' keys are mostly never needed.
        for protocol in sorted(self.protocols, key=lambda name: name not in self._plans):
            if key in self._fits_of(protocol):
                return self.plan(protocol), self._fits_of(protocol)[key]
        raise ConfigError(f"fit {key}: no table's cell has it under today's sources; name a target of results/")

    def cell_of(self, key: str) -> Cell | None:
        """Return the cell that names a fit; None where no table's cell has it under today's sources."""
        try:
            return self._cell(key)[1]
        except ConfigError:
            return None

    def _place(self, protocol: str, source: str, category: str, method: str = "", seed: int = 0) -> tuple[Plan, Cell]:
        """Return the plan and the cell of a record's or data folder's path."""
        plan = self.plan(protocol)
        return plan, plan.at(source, category, method or next(iter(plan.methods)), seed)

    # data

    def raw(self, source: str, category: str) -> list[str]:
        """Return the stamp of the raw files that preparing a category needs; none for embedded data."""
        dataset = self._datasets[source]
        return [] if dataset.embedded else [str(stamp_path(dataset, category, raw_folder(dataset, Path("work"))))]

    def raw_recipe(self, folder: str) -> str:
        """Return the hash of what fetching depends on; datasets that share raw files share it."""
        given = [e.given() for e in self._datasets.values() if e.source == folder]
        return digest([{key: e.get(key) for key in ("layout", "archives", "mirrors", "limits")} for e in given])

    def fetched(self, folder: str, part: str) -> str:
        """Return the command line arguments that bring the raw files behind a stamp."""
        entry = self._in_folder(folder)[0]
        return f"{entry.id} --category {part}" if part in entry.categories else entry.id

    def _in_folder(self, folder: str) -> list[Dataset]:
        """Return the datasets whose raw files lie in work/raw/<folder>."""
        return [e for e in self._datasets.values() if e.source == folder]

    @cached_property
    def _datasets(self) -> Mapping[str, Dataset]:
        return self.plan(self.protocols[0]).datasets

    def place(self, protocol: str, source: str, category: str) -> str:
        """Return the command line arguments that name a category's data."""
        _, cell = self._place(protocol, source, category)
        return f"--protocol {cell.protocol} --dataset {cell.dataset} --category {cell.category}"

    def recipe(self, protocol: str, source: str, category: str, size: int) -> str:
        """Return the hash of what preparing depends on."""
        plan, cell = self._place(protocol, source, category)
        return plan.recipe(cell, size) + self._own_data.state(source, category)

    # fits

    def manifest(self, key: str) -> str:
        """Return the manifest of the data that a fit is trained on."""
        plan, cell = self._cell(key)
        return str(plan.data_folder(cell) / "manifest.json")

    def arguments(self, key: str) -> str:
        """Return the command line arguments that name a fit."""
        return self._cell(key)[1].arguments

    def threads(self, key: str) -> int:
        """Return the CPU threads that a fit asks for."""
        return int(self._cell(key)[0].protocol.threads)

    def gpus(self, key: str) -> int:
        """Return how many GPUs a fit asks for: one where the protocol needs it."""
        return int(bool(self._cell(key)[0].protocol.needs_gpu))

    def failures(self, name: str) -> int:
        """Return how often this work has failed: a failed cell is tried again by the next build."""
        return attempts(Path("work"), name)

    # records

    def cell_arguments(self, protocol: str, source: str, category: str, method: str, seed: int) -> str:
        """Return the command line arguments that name a record's cell."""
        return self._place(protocol, source, category, method, seed)[1].arguments

    def measured_from(self, protocol: str, source: str, category: str, method: str, seed: int) -> list[str]:
        """Return the files that a record is measured from: fit, maps, and the data with the ground truth."""
        plan, cell = self._place(protocol, source, category, method, seed)
        maps = plan.maps(cell)
        files = [plan.fit_folder(cell) / "fit.json", maps, maps.with_suffix(".json")]
        return [*map(str, files), str(plan.truth_folder(cell) / "manifest.json")]

    def measures(self, protocol: str, source: str, category: str, method: str, seed: int) -> str:
        """Return the hash of how a cell's maps and scores are measured; after failures it is another one."""
        plan, cell = self._place(protocol, source, category, method, seed)
        key = plan.keys(cell).measuring_key
        failed = self.failures(failure_name(cell.record))
        return f"{key} after {failed} failures" if failed else key

    # tables

    @staticmethod
    def protocol_of(where: str) -> str:
        """Return the protocol that a results path names: the paper's where it names none."""
        return where.rstrip("/") or "paper"

    def records(self, where: str, table: str) -> list[str]:
        """Return the records that a table waits for: accepted ones, and those that are to be measured."""
        plan = self.plan(self.protocol_of(where))
        paths = [awaited(plan, cell) for cell in self.cells(self.protocol_of(where), table)]
        return sorted({str(path) for path in paths if path is not None})

    def table_recipe(self, where: str, table: str) -> str:
        """Return the hash of what a table's JSON depends on beside its records."""
        plan = self.plan(self.protocol_of(where))
        states = [
            [cell.category, cell.method, plan.unavailable(cell)] for cell in self.cells(self.protocol_of(where), table)
        ]
        return digest(
            [
                _code("harness.tables.aggregate"),
                plan.config.evidence,
                states,
                _texts(plan),
                _described(self.spec(table)),
            ]
        )

    @staticmethod
    def render_recipe() -> str:
        """Return the hash of the code and templates that render."""
        templates = sorted((ROOT / "harness" / "tables").rglob("*.j2"))
        return digest([_code("harness.tables.render"), [path.read_text() for path in templates]])


@cache
def _code(module: str) -> str:
    return code_digest((module,))


def _described(spec: Mapping[str, Any]) -> list[str]:
    """Return the text of a table's description and of the published numbers beside it."""
    published = [ROOT / "published" / spec["published"]] if "published" in spec else []
    return [path.read_text() for path in (ROOT / "tables" / f"{spec['id']}.yaml", *published)]


def _texts(plan: Plan) -> list[Any]:
    """Return what a table prints of methods, categories and protocol."""
    methods = [[m.title, m.latex, m.cite, m.threshold] for m in plan.methods.values()]
    return [methods, plan.protocol.title, plan.protocol.stand_ins, plan.protocol.seeds]
