"""What a table says of the numbers that it lacks: exactly which, why, and never that measured ones are missing."""

from __future__ import annotations

import io
import random
from dataclasses import replace

import pytest
from rich.console import Console

from harness.config import load_config
from harness.records.plan import Plan
from harness.records.status import Status, status
from harness.tables.aggregate import aggregate
from harness.tables.cells import Evidence
from harness.tables.render import to_text
from harness.tables.spec import load_table
from harness.tables.table import MissingGroup
from harness.tables.terminal import show
from harness.tables.view import group_text
from tests.unit.fake_plan import FakePlan, measured, record, records_of

NONE = Status("not_measured", "no accepted record")


def build(answer, name="table2_auroc_mnist_cifar10", **plan):
    return aggregate(records_of(FakePlan(answer, **plan)), load_table(name))


def listed(table):
    """Return every (place, method, seed) that the section on missing numbers lists, once for each time it is listed."""
    groups = [group for line in table.missing for group in line.groups]
    return [(c, m, s) for group in groups for c in group.categories for m in group.methods for s in group.seeds]


def test_measured_cells_are_not_listed_among_the_missing():
    table = build(lambda _, __, method, ___: NONE if method == "cavga_d_u" else measured(0.5))
    (line,) = table.missing
    assert {method for _, method, _ in listed(table)} == {"cavga_d_u"}
    table = build(lambda dataset, _, method, __: NONE if "cifar" in dataset or method == "beta_vae" else measured(0.5))
    (line,) = table.missing
    assert line.count == len(listed(table)) < sum(table.coverage.values())
    assert {method for place, method, _ in listed(table) if place.startswith("mnist")} == {"beta_vae"}


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_whatever_is_missing_is_listed_and_nothing_else(seeds):
    asked = {}

    def answer(dataset, category, method, seed):
        there = random.Random(f"{dataset}{category}{method}{seed}").random() < 0.5
        asked[f"{dataset}/{category}", method, seed] = there
        return measured(0.5) if there else NONE

    table = build(answer, seeds=seeds)
    assert sorted(listed(table)) == sorted(key for key, there in asked.items() if not there)


def test_all_of_a_table_is_one_group():
    table = build(lambda *_: NONE, "table3_iou", seeds=(0, 1))
    (line,) = table.missing
    assert (len(line.groups), line.count) == (1, 14 * 15 * 2)


def test_the_views_name_methods_and_places_of_each_group():
    def answer(_, category, method, seed):
        whole = method == "avid" or (method == "vm" and category in ("bottle", "pill") and seed == 1)
        return NONE if whole else measured(0.5)

    table = build(answer, "table3_iou", seeds=(0, 1))
    page = to_text(table, "html")
    assert "<b>not measured</b> (32): no accepted record" in page
    assert "<small>avid on mvtec_ad: bottle, hazelnut, capsule," in page
    assert "<small>vm on mvtec_ad: bottle, pill, seed 1</small>" in page
    console = Console(width=4000, file=io.StringIO())
    show(table, console)
    assert "vm on mvtec_ad: bottle, pill, seed 1" in console.file.getvalue()


def test_consecutive_classes_are_a_span():
    names = [*(f"mnist/{n}" for n in range(10)), "mstc/01", "mstc/02", "mstc/09", "mstc/10", "mstc/11", "lag/lag"]
    assert (
        group_text(MissingGroup(methods=("a", "b"), categories=tuple(names), seeds=(0,)), [0])
        == "a, b on mnist: 0–9; mstc: 01, 02, 09–11; lag: lag"
    )


def test_no_accepted_record_is_not_measured_and_missing_data_are_unavailable(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for policy, state in (("recorded", "not_measured"), ("auto", "unavailable")):
        plan = Plan.load("lite", load_config({"evidence": policy, "data_root": None}))
        found = status(plan, plan.cell("mvtec_ad", "bottle", "cavga_r_u", 0))
        assert found.state == state
        table = aggregate(Evidence(plan), load_table("table3_iou"))
        word = state.replace("_", " ")
        assert f"<b>{word}</b>" in to_text(table, "html")
        assert f"--: {word}" in to_text(table, "tex")
        assert any(f" {word}" in note for note in table.notes)
    there = Plan.load("demo", load_config({"data_root": None}))
    assert status(there, there.cell("mvtec_ad", "brick", "cavga_r_u", 0)).state == "not_measured"


def test_a_number_that_its_data_do_not_define_is_among_the_missing_and_the_data_are_said_in_every_view():
    note = "no masks: localisation is not measured"

    def answer(_, category, __, ___):
        if category != "bottle":
            return measured(0.5)
        found = record(0.5, data_notes=(note,))
        without = tuple(replace(number, value=None, note="no masks") for number in found.measures)
        return Status("measured", None, replace(found, measures=without), "work/records/r.json")

    table = build(answer, "table3_iou")
    (line,) = table.missing
    assert (line.state, line.reason, line.count) == ("unavailable", "no masks", 14)
    assert {place for place, _, _ in listed(table)} == {"mvtec_ad/bottle"}
    said = f"Data of mvtec_ad/bottle: {note}."
    assert said in table.notes
    for form in ("html", "tex"):
        assert said.replace("_", r"\_" if form == "tex" else "_") in to_text(table, form)
    assert "no masks" in to_text(table, "csv")
