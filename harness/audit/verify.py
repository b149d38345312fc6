"""Verifying what is committed: records that are sound, and results that follow from them byte for byte."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import paths
from harness.audit.audit import audit
from harness.audit.verdict_page import verdict_faults
from harness.cell import Cell
from harness.config import load_config
from harness.errors import ConfigError, EvidenceError, UserError
from harness.paths import PAPER
from harness.records.reading import place_of, read_checked
from harness.records.record import Record
from harness.tables.aggregate import aggregate
from harness.tables.built import read_tables
from harness.tables.cells import Evidence
from harness.tables.layers import rows_path
from harness.tables.plans import Plans
from harness.tables.render import FORMATS, read_table, to_text
from harness.tables.spec import LayerSpec, load_table
from harness.tables.table import AnyTable, to_json


@dataclass
class Report:
    """What was found. Faults are errors; stale records and notes are for information."""

    faults: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: int = 0
    results: int = 0

    @property
    def summary(self) -> str:
        """Return one line."""
        return (
            f"{self.records} records, {self.results} results: {len(self.faults)} faults, {len(self.stale)} stale cells"
        )


def verify(results: Sequence[Path] = ()) -> Report:
    """Check all accepted records, the given results (default: those that git knows) and the claims."""
    report = Report()
    verify_records(paths.RECORDS, Plans(load_config({"evidence": "recorded"})), report)
    again = recorded_plans()
    for path in results or committed_results():
        report.results += 1
        report.faults += verify_result(path, again, report.notes)
    page, readme = paths.VIEWS / "verdict.md", paths.ROOT / "README.md"
    if not results and page.is_file() and not report.faults:
        report.faults += verdict_faults(page, readme if readme.is_file() else None)
    report.notes += claims_lines(again.plan(PAPER).protocol.title)
    return report


def recorded_plans() -> Plans:
    """Return plans by which a table follows from the accepted records alone, whatever data lie on this machine."""
    plans = Plans(load_config({"evidence": "recorded"}))
    for protocol in plans.protocols:
        plans.plan(protocol).work = paths.RECORDS / "none"
    return plans


def verify_records(folder: Path, grid: Plans, report: Report) -> None:
    """Check every record of a folder: schema, seal, keys, place, double use; note the stale ones."""
    seen: dict[str, tuple[Any, ...]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".gitkeep"):
        report.records += 1
        try:
            place = place_of(path, folder)
            plan = grid.plan(place[0])
            cell = plan.at(place[1], place[2], place[3], place[4])
            record = read_checked(path, cell)
            _check_accepted(cell, record, path)
            _check_double(record, path, seen)
        except ConfigError as error:
            report.stale.append(f"{path}: {error}")
            continue
        except EvidenceError as error:
            report.faults.append(str(error))
            continue
        if record.fingerprint != plan.fingerprint(cell, plan.data_digest(cell) or record.data_digest):
            report.stale.append(f"{path}: sources or data changed since it was accepted")


def _check_accepted(cell: Cell, record: Record, path: Path) -> None:
    if record.failed:
        raise EvidenceError(f"{path}: a failed cell's record is no evidence; remove it")
    if cell.source != cell.dataset:
        raise EvidenceError(f"{path}: a stand-in's record is no evidence; remove it")


def _check_double(record: Record, path: Path, seen: dict[str, tuple[Any, ...]]) -> None:
    """Raise EvidenceError when one fit serves two cells; only methods with equal settings share one."""
    cell = (record.protocol, record.dataset, record.category, record.seed)
    other = seen.setdefault(record.fit_key, cell)
    if other != cell:
        raise EvidenceError(f"{path}: its fit {record.fit_key} is that of {'/'.join(map(str, other))}; remove one")


def committed_results() -> list[Path]:
    """Return the tables' JSON files below docs/results/ that git knows; all of them where there is no git."""
    found = sorted(paths.VIEWS.glob("*/*.json"))
    try:
        command = ["git", "ls-files", "-z", "--", str(paths.VIEWS.absolute())]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=paths.VIEWS.parent).stdout
    except (OSError, subprocess.CalledProcessError):
        return found
    known = {(paths.VIEWS.parent / name).absolute() for name in listed.split("\0")}
    return [path for path in found if path.absolute() in known]


def verify_result(path: Path, grid: Plans, notes: list[str]) -> list[str]:
    """Return what differs between a result as it lies there and as it follows from its sources."""
    try:
        table = read_table(path)
        faults = differing_views(path, table)
        name, protocol = table.id, table.protocol.id
        spec = load_table(name)
        expected = paths.VIEWS / protocol / f"{name}.json"
        if path != expected:
            faults.append(f"{path}: holds {expected}; it does not belong here")
        if isinstance(spec, LayerSpec) and not rows_path(protocol, spec.method).is_file():
            notes.append(f"{path}: layers not read off on this machine; only its views were checked")
        elif not follows(path, table, grid):
            faults.append(f"{path}: differs from what the accepted records give; run: {_command(name, protocol)}")
    except (UserError, KeyError) as error:
        return [f"{path}: {error}"]
    return faults


def follows(path: Path, table: AnyTable, plans: Plans) -> bool:
    """Tell whether a table's JSON is what the records give under `plans`."""
    plan = plans.plan(table.protocol.id)
    return to_json(aggregate(Evidence(plan), load_table(table.id))) == path.read_text()


def _command(name: str, protocol: str) -> str:
    views = f"results/{paths.where(protocol)}{name}.{{{','.join(FORMATS)}}}"
    build = f"snakemake --cores 2 --config evidence=recorded --forcerun aggregate -- {views}"
    return f"{build} && cavga-bench publish {protocol}"


def differing_views(path: Path, table: AnyTable) -> list[str]:
    """Return which views of a table's JSON are missing or say something else."""
    faults = []
    for form in FORMATS:
        view = path.with_suffix(f".{form}")
        if not view.is_file():
            faults.append(f"{view}: missing; run: python -m harness render {path}")
        elif view.read_bytes() != to_text(table, form).encode():
            faults.append(f"{view}: differs from what {path.name} renders to; run: python -m harness render {path}")
    return faults


def claims_lines(protocol: str) -> list[str]:
    """Return how the claims fare on published numbers, and on those reproduced under the paper protocol (its title)."""
    claims = audit(read_tables(paths.VIEWS / PAPER))["claims"]
    return [
        f"claims on {title}: " + ", ".join(f"{n} {word}" for word, n in sorted(counted.items()))
        for title, side in (("the published numbers", "published"), (f"reproduced numbers ({protocol})", "reproduced"))
        for counted in [Counter(claim[side]["verdict"] for claim in claims)]
    ]
