"""The targets below results/: what each is made from, what else it depends on, which cells stand behind it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from harness import paths
from harness.cell import Cell
from harness.errors import ConfigError
from harness.figures.extra import EXTRA_PLOTS
from harness.figures.spec import figure_ids, load_figure, required_cells
from harness.nearest import hint
from harness.paths import ROOT, protocol_of
from harness.records.code_digest import code_digest
from harness.records.fingerprint import digest
from harness.records.plan import Plan
from harness.records.status import awaited, shown_by_record, status
from harness.tables.layers import rows_path
from harness.tables.spec import LayerSpec, load_table
from harness.tables.view import full_title
from harness.workflow.inputs import RuleInputs, say_refused

VIEWS = ("json", "csv", "tex", "html")


WITH_FIGURES = ("all", "report")
WHOLE = (*WITH_FIGURES, "tables", *EXTRA_PLOTS)
"""Targets that need every table."""


class Targets:
    """Input and parameter functions of the rules that write results. `where` is "" or "<protocol>/"."""

    def __init__(self, inputs: RuleInputs) -> None:
        self.inputs, self.plans = inputs, inputs.plans
        self.figures = figure_ids()
        across = [name for name in self.plans.tables if getattr(self.plans.spec(name), "methods", "") == "columns"]
        self.plots = [f"plot_{name}" for name in across]

    def plan(self, where: str) -> Plan:
        """Return the plan of the protocol that a results path names."""
        return self.plans.plan(protocol_of(where))

    @property
    def unknown(self) -> str:
        """Return the pattern of what lies below results/ and no rule makes."""
        every = [name for protocol in self.plans.protocols for name in self.made(paths.where(protocol))]
        every += [f"results/{paths.where(protocol)}all" for protocol in self.plans.protocols]
        return f"(?!(?:{'|'.join(re.escape(name.removeprefix('results/')) for name in every)})$).+"

    def refuse(self, target: str) -> list[str]:
        """Raise ConfigError for a file below results/ that no rule makes, with the nearest that one does."""
        self.cells(f"results/{target}")
        where, name = _where(target), Path(target)
        forms = [made for made in self.made(where) if Path(made).stem == name.stem]
        raise ConfigError(f"'results/{target}': nothing makes this file; made are {', '.join(forms)}")

    def cells(self, target: str) -> list[Cell]:
        """Return the cells of a target, each once, in the order of its table. Raises ConfigError for an unknown one."""
        protocol, name = self._named(target)
        where = paths.where(protocol)
        if name in WHOLE:
            found = [cell for table in self.plans.all_tables for cell in self.plans.cells(protocol, table)]
            figures = self.figures if name in WITH_FIGURES else []
            found += [cell for figure in figures for cell in self.figure_cells(where, figure)]
        elif name in self.figures:
            found = self.figure_cells(where, name)
        else:
            found = self.plans.cells(protocol, name.removeprefix("plot_"))
        return list(dict.fromkeys(found))

    def _named(self, target: str) -> tuple[str, str]:
        """Return protocol and name of a target such as results/lite/table3_iou.tex."""
        protocol, name = parts(target)
        if protocol not in self.plans.protocols:
            raise ConfigError(f"'{target}': unknown protocol '{protocol}'; {hint(protocol, self.plans.protocols)}")
        known = [*self.plans.tables, *self.figures, *self.plots, *WHOLE]
        if name not in known:
            raise ConfigError(f"'{target}': no table, figure or plot is called '{name}'; {hint(name, known)}")
        return protocol, name

    # tables

    def table_inputs(self, where: str, table: str) -> list[str]:
        """Return what a table's JSON is made from: records, or the layers read off a method's networks."""
        spec = self.plans.spec(table)
        if not isinstance(spec, LayerSpec):
            return self.inputs.records(where, table)
        return [str(rows_path(protocol_of(where), spec.method))]

    def layers_dataset(self, method: str) -> str:
        """Return the dataset whose image size a layer table shows for a method."""
        specs = [self.plans.spec(table) for table in self.plans.tables]
        return next(s.dataset for s in specs if isinstance(s, LayerSpec) and s.method == method)

    def layers_recipe(self, protocol: str, method: str) -> str:
        """Return the hash of what a method's layers depend on."""
        plan = self.plans.plan(protocol)
        dataset = self.layers_dataset(method)
        cell = plan.cell(dataset, next(iter(plan.categories(dataset))), method, plan.protocol.seeds[0])
        settings = plan.settings(cell)
        modules = (settings.detector.partition(":")[0], "harness.training.layers")
        return digest([code_digest(modules), settings.options, settings.size, settings.channels])

    def tables(self, where: str) -> list[str]:
        """Return the JSON of every table."""
        return [f"results/{where}{table}.json" for table in self.plans.all_tables]

    @staticmethod
    def document_recipe() -> str:
        """Return the hash of the code that writes the document of all tables."""
        return code_digest(("harness.tables.document",))

    # figures

    def figure_cells(self, where: str, figure: str) -> list[Cell]:
        """Return the cells whose maps a figure shows."""
        plan = self.plan(where)
        places = required_cells(plan, load_figure(figure))
        cells = [plan.cell(*place, plan.seeds(place[0], place[2])[0]) for place in places]
        return [c for c in cells if plan.applies(c)]

    def figure_inputs(self, where: str, figure: str) -> list[str]:
        """Return records, maps and data that a figure waits for.

        Where nothing is to be measured it waits for records alone: maps that happen to be here are shown, but they must
        not be made again only because their dates say so. Nor does it train for maps that are not here when the record
        carries pictures.
        """
        plan = self.plan(where)
        found: set[Path] = set()
        cells = self.figure_cells(where, figure)
        say_refused(plan, cells)
        for cell in cells:
            record = awaited(plan, cell)
            found.update([record] if record else [])
            if not _at_rest(plan, cell):
                found.update(_shown(plan, cell))
        return sorted(map(str, found))

    def figure_recipe(self, where: str, figure: str) -> str:
        """Return the hash of what a figure depends on beside its inputs."""
        plan = self.plan(where)
        texts = [[plan.methods[m].title, plan.methods[m].latex] for m in load_figure(figure)["methods"]]
        cells = self.figure_cells(where, figure)
        states = [[c.category, c.method, plan.unavailable(c)] for c in cells]
        here = [str(path) for c in cells if _at_rest(plan, c) for path in _shown(plan, c) if path.exists()]
        titles = [plan.protocol.title, plan.protocol.stand_ins, plan.config.evidence]
        described = (ROOT / "tables" / f"{figure}.yaml").read_text()
        return digest([code_digest(("harness.figures.draw",)), described, texts, states, titles, here])

    # what Snakemake's report says of each

    @staticmethod
    def title(name: str) -> str:
        """Return the title of a table, a figure or a plot."""
        if name in EXTRA_PLOTS:
            return EXTRA_PLOTS[name][0]
        if name.startswith("fig"):
            figure = load_figure(name)
            return f"{figure['label']}: {figure['title']}"
        spec = load_table(name.removeprefix("plot_"))
        return full_title(spec.label, spec.paper, spec.title)

    def about(self, where: str, name: str) -> str:
        """Return the caption of a table, a figure or a plot, with its protocol and what stands in for its data."""
        plan = self.plan(where)
        if name in EXTRA_PLOTS:
            text, datasets = EXTRA_PLOTS[name][1], []
        elif name.startswith("fig"):
            figure = load_figure(name)
            text, datasets = figure["caption"], [figure["dataset"]]
        else:
            spec = self.plans.spec(name.removeprefix("plot_"))
            text, datasets = spec.caption, spec.datasets
        used = [(name, plan.stand_in(name)) for name in dict.fromkeys(datasets)]
        instead = [plan.datasets[source].title for name, source in used if source != name]
        data = f" Other data than the paper's: {'; '.join(instead)}." if instead else ""
        return f"{' '.join(text.split())} {plan.protocol.title.capitalize()}.{data}"

    # plots and report

    @staticmethod
    def plot_recipe() -> str:
        """Return the hash of the code that draws plots."""
        return code_digest(("harness.figures.plots",))

    def plot_inputs(self, where: str, plot: str) -> list[str]:
        """Return the JSON of the tables that a plot draws, and of those whose fits it shows."""
        if plot in EXTRA_PLOTS:
            return self.tables(where)
        return [f"results/{where}{plot.removeprefix('plot_')}.json"]

    def report_inputs(self, where: str) -> list[str]:
        """Return what the report shows: every table's JSON and every figure."""
        figures = [f"results/{where}{figure}.{form}" for figure in self.figures for form in ("png", "json")]
        return [*self.tables(where), *figures]

    def report_recipe(self) -> str:
        """Return the hash of the report's code, templates, claims, findings and verdict."""
        files = [
            *sorted((ROOT / "harness").glob("*/templates/*.j2")),
            *sorted((ROOT / "published").glob("*.*")),
            *sorted(paths.VIEWS.glob("verdict.json")),
            ROOT / "config" / "methods.yaml",
            ROOT / "config" / "readings.yaml",
        ]
        return digest([code_digest(("harness.report.build",)), [path.read_text() for path in files]])

    def everything(self, where: str) -> list[str]:
        """Return what "all" means: every documented target of a protocol but the tables on request."""
        kept = {*self.plans.all_tables}
        apart = {table for table in self.plans.tables if table not in kept}
        return [name for name in self.made(where) if Path(name).stem.removeprefix("plot_") not in apart]

    def made(self, where: str) -> list[str]:
        """Return every documented target of a protocol."""
        names: list[Any] = [f"{table}.{view}" for table in self.plans.tables for view in VIEWS]
        names += [f"{figure}.{form}" for figure in self.figures for form in ("pdf", "png", "json")]
        names += [f"{plot}.{form}" for plot in [*self.plots, *EXTRA_PLOTS] for form in ("pdf", "png")]
        return [f"results/{where}{name}" for name in [*names, "tables.pdf", "report.html"]]


def _at_rest(plan: Plan, cell: Cell) -> bool:
    """Tell whether a figure leaves a cell as it is: by the policy, without data, or with its record's pictures."""
    left = plan.config.evidence == "recorded" or plan.unavailable(cell) is not None
    return left or shown_by_record(plan, cell, status(plan, cell))


def _shown(plan: Plan, cell: Cell) -> list[Path]:
    """Return what a figure reads of a cell beside its record: maps, and the data with the images and masks."""
    return [plan.maps(cell), plan.truth_folder(cell) / "manifest.json"]


def parts(target: str) -> tuple[str, str]:
    """Return protocol and name of a target such as results/lite/table3_iou, or of the path of one of its views."""
    names = Path(target).parts
    if names[:1] != ("results",) or len(names) not in (2, 3):
        raise ConfigError(f"'{target}' is no target; targets are results/<name> and results/<protocol>/<name>")
    return (names[1] if len(names) == 3 else paths.PAPER), Path(names[-1]).stem


def _where(target: str) -> str:
    return paths.where(parts(f"results/{target}")[0])
