"""What the rules ask: inputs and parameters behind the wildcards of a path, from raw files to a table's JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from functools import cache, cached_property
from typing import Any

from harness.cell import Cell
from harness.data.sources import raw_folder, stamp_path
from harness.dataset import Dataset
from harness.errors import ConfigError
from harness.paths import ROOT, WORK, protocol_of
from harness.records.code_digest import code_digest
from harness.records.fingerprint import digest
from harness.records.plan import Plan
from harness.records.status import awaited, fresh
from harness.tables.plans import Plans
from harness.tables.spec import AnySpec, table_path
from harness.workflow.job_status import attempts, failure_name
from harness.workflow.recipe import Recipes


class RuleInputs:
    """Input and parameter functions of the rules; `where` is "" or "<protocol>/", `source` the dataset really used."""

    def __init__(self, plans: Plans) -> None:
        self.plans = plans
        self._recipes = Recipes(plans.config)

    def _cell(self, protocol: str, source: str, category: str, method: str = "", seed: int = 0) -> tuple[Plan, Cell]:
        """Return the plan and the cell of a record's or data folder's path."""
        plan = self.plans.plan(protocol)
        return plan, plan.at(source, category, method or next(iter(plan.methods)), seed)

    def dataset(self, protocol: str, source: str) -> str:
        """Return the paper's dataset behind the one that is really used: what the verbs' --dataset means."""
        return self.plans.plan(protocol).paper_dataset(source)

    # data

    def raw(self, source: str, category: str) -> list[str]:
        """Return the stamp of the raw files that preparing a category needs; none for embedded data."""
        dataset = self._datasets[source]
        return [] if dataset.embedded else [str(stamp_path(dataset, category, raw_folder(dataset, WORK)))]

    def raw_recipe(self, folder: str) -> str:
        """Return the hash of what fetching depends on; datasets that share raw files share it."""
        given = [e.given() for e in self._datasets.values() if e.source == folder]
        return digest([{key: e.get(key) for key in ("layout", "archives", "mirrors", "limits")} for e in given])

    def fetched(self, folder: str, part: str) -> str:
        """Return the command line arguments that bring the raw files behind a stamp."""
        entry = next(e for e in self._datasets.values() if e.source == folder)
        return f"{entry.id} --category {part}" if part in entry.categories else entry.id

    @cached_property
    def _datasets(self) -> Mapping[str, Dataset]:
        return self.plans.plan(self.plans.protocols[0]).datasets

    def recipe(self, protocol: str, source: str, category: str, size: int) -> str:
        """Return the hash of what preparing depends on."""
        return self._recipes.of(*self._cell(protocol, source, category), size)

    # fits

    def fit_data(self, key: str) -> list[str]:
        """Return the manifests of the data that a fit is trained on: its own, and of images given beside."""
        plan, cell = self.plans.fit(key)
        beside = plan.auxiliary(cell)
        folders = [plan.data_folder(place, plan.settings(cell).size) for place in (cell, beside) if place is not None]
        return [str(folder / "manifest.json") for folder in folders]

    def fit_cell(self, key: str) -> dict[str, Any]:
        """Return the parts of the cell that names a fit, as its command takes them."""
        cell = self.plans.fit(key)[1]
        names = ("protocol", "dataset", "category", "method", "seed")
        return {name: getattr(cell, name) for name in names}

    def threads(self, key: str) -> int:
        """Return the CPU threads that a fit asks for."""
        return int(self.plans.fit(key)[0].protocol.threads)

    def gpus(self, key: str) -> int:
        """Return how many GPUs a fit asks for: one where the protocol needs it."""
        return int(bool(self.plans.fit(key)[0].protocol.needs_gpu))

    def failures(self, name: str) -> int:
        """Return how often this work has failed: a failed cell is tried again by the next build."""
        return attempts(WORK, name)

    # records

    def measured_from(self, protocol: str, source: str, category: str, method: str, seed: int) -> list[str]:
        """Return what a record is measured from: status and maps of a fit, and the data with the ground truth.

        Nothing where the record that is there counts and its data are unchanged: files that were deleted, or whose
        dates say so, are no reason to train again. Under the policy "fresh" everything is asked for. Raises ConfigError
        where the method cannot take images of this size.
        """
        plan, cell = self._cell(protocol, source, category, method, seed)
        if reason := plan.refused(cell):
            raise ConfigError(reason)
        here = fresh(plan, cell) if plan.config.evidence != "fresh" else None
        if here is not None and here.believed and self._recipes.unchanged(plan, cell):
            return []
        return [*map(str, (plan.status_file(cell), plan.maps(cell))), str(plan.truth_folder(cell) / "manifest.json")]

    def depends_on(self, protocol: str, source: str, category: str, method: str, seed: int) -> str:
        """Return what a record depends on: which fit, measured how; after failures it is something else."""
        plan, cell = self._cell(protocol, source, category, method, seed)
        failed, keys = self.failures(failure_name(cell.record)), plan.keys(cell)
        return f"{keys.fit_key} {keys.measuring_key}{f' after {failed} failures' if failed else ''}"

    # tables

    def records(self, where: str, table: str) -> list[str]:
        """Return the records that a table waits for: accepted ones, and those that are to be measured."""
        plan = self.plans.plan(protocol_of(where))
        cells = self.plans.cells(plan.protocol.id, table)
        say_refused(plan, cells)
        paths = [awaited(plan, cell) for cell in cells]
        return sorted({str(path) for path in paths if path is not None})

    def table_recipe(self, where: str, table: str) -> str:
        """Return the hash of what a table's JSON depends on beside what its records say."""
        plan = self.plans.plan(protocol_of(where))
        cells = self.plans.cells(plan.protocol.id, table)
        states = [_state(plan, cell) for cell in cells]
        described = _described(self.plans.spec(table))
        content = [plan.config.evidence, states, self.records(where, table), _texts(plan), described]
        return digest([_code("harness.tables.aggregate"), *content])

    @staticmethod
    def render_recipe() -> str:
        """Return the hash of the code and templates that render."""
        templates = sorted((ROOT / "harness" / "tables").rglob("*.j2"))
        return digest([_code("harness.tables.render"), [path.read_text() for path in templates]])


def say_refused(plan: Plan, cells: Iterable[Cell]) -> None:
    """Say once of each method which size it cannot take: the build goes on without these cells, a dry run says so."""
    for reason in dict.fromkeys(plan.refused(cell) for cell in cells if plan.applies(cell)):
        if reason is not None:
            _say(f"not measured under protocol {plan.protocol.id}: {reason}")


@cache
def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _state(plan: Plan, cell: Cell) -> list[str | None]:
    """Return whether a cell can be measured here, and of one that cannot the number that was brought from elsewhere."""
    reason = plan.unavailable(cell)
    brought = fresh(plan, cell) if reason and plan.config.evidence != "recorded" else None
    return [cell.category, cell.method, reason, *([brought.record.fingerprint] if brought and brought.record else [])]


@cache
def _code(module: str) -> str:
    return code_digest((module,))


def _described(spec: AnySpec) -> list[str]:
    """Return the text of a table's description and of the published numbers beside it."""
    named = [spec.published, *(entry.published for entry in getattr(spec, "quantities", ()))]
    published = [ROOT / "published" / name for name in named if name]
    return [path.read_text() for path in (table_path(spec.id), *published)]


def _texts(plan: Plan) -> list[Any]:
    """Return what a table prints of methods, categories and protocol."""
    methods = [[m.title, m.latex, m.cite, m.threshold] for m in plan.methods.values()]
    return [methods, plan.protocol.title, plan.protocol.stand_ins, plan.protocol.seeds]
