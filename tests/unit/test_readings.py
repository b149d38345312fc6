"""Readings: entries that change one method, seeds of a method, and the row nearest to print."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import yaml

from harness.config import load_config, load_methods
from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.records.status import Status
from harness.tables.aggregate import aggregate
from harness.tables.plans import Plans
from harness.tables.render_latex import TALL, to_latex
from harness.tables.spec import load_numbers
from harness.training.registry import build_detector
from tests.unit.fake_plan import FakePlan, measured, records_of

READINGS = {name: method for name, method in load_methods().items() if method.reading_of is not None}
GONE = Status("not_measured", "not measured yet")


@pytest.fixture
def configured(monkeypatch, tmp_path):
    def configure(**content):
        monkeypatch.setenv("CAVGA_CONFIG", json.dumps(content))
        return load_config()

    monkeypatch.chdir(tmp_path)
    return configure


def extending(folder, **content):
    (folder / "mine.yaml").write_text(yaml.safe_dump({"id": "mine", "title": "mine", "extends": "demo", **content}))
    return {"extra_protocols": ["mine.yaml"]}


@pytest.mark.parametrize("name", READINGS)
def test_every_reading_builds_and_gives_its_map(name):
    plan = Plan.load("lite")
    for dataset, category in (("mvtec_ad", "bottle"), ("mnist", "0")):
        settings = plan.settings(plan.cell(dataset, category, name, 0))
        shape = (settings.channels, settings.size, settings.size)
        options = dict(settings.options) | (
            {"encoder_weights": "none"} if "encoder_weights" in settings.options else {}
        )
        detector = build_detector(settings.detector, shape, options)
        if dataset == "mvtec_ad":
            assert READINGS[name].map is None or READINGS[name].map in detector.readings


def test_a_reading_that_differs_at_test_only_shares_its_methods_fit_under_every_protocol():
    for protocol in ("paper", "lite", "demo"):
        plan = Plan.load(protocol)
        for name, method in READINGS.items():
            dataset = "mnist" if method.reading_of == "cavga_d_u" else "mvtec_ad"  # where its table shows it
            category = next(iter(plan.categories(dataset)))
            own, base = (plan.cell(dataset, category, which, 0) for which in (name, method.reading_of))
            at_test = method.map is not None or method.empty_when_normal
            assert (plan.key(own) == plan.key(base)) == at_test, name
            assert plan.keys(own).measuring_key != plan.keys(base).measuring_key or not at_test, name


def test_a_reading_takes_what_the_protocol_says_of_its_method():
    plan = Plan.load("lite")
    base, own = (plan.settings(plan.cell("mvtec_ad", "bottle", name, 0)) for name in ("cavga_r_u", "reading_u_rate"))
    assert own.options["encoder"] == base.options["encoder"] == "efficientnet_lite0"
    differing = {key for key in own.training if own.training[key] != base.training[key]}
    assert differing == {"lr_factor"}
    assert asdict(own)["training"]["lr_factor"] == 0.9


def test_null_takes_an_option_back_to_the_detectors_default():
    plan = Plan.load("lite")
    sums, means = (plan.settings(plan.cell("mnist", "0", name, 0)).options for name in ("cavga_d_u", "reading_d_means"))
    assert (sums["reduction"], sums["kl_reduction"]) == ("sum", "sum")
    assert means == plan.settings(plan.cell("mvtec_ad", "bottle", "cavga_d_u", 0)).options
    assert not {"reduction", "kl_reduction"} & set(means)


@pytest.mark.parametrize("base", ["cavga_r_v", "reading_u_each"])
def test_a_reading_of_nothing_is_one_line(configured, tmp_path, base):
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({"mine": {"reading_of": base, "title": "mine"}}))
    with pytest.raises(ConfigError, match=f"own.yaml: mine: reading_of: no method '{base}'; "):
        load_methods(configured(extra_methods=["own.yaml"]))


def test_a_protocol_names_the_seeds_of_a_method(configured, tmp_path):
    methods = {"vm": {"seeds": [0, 2]}, "cavga_r_u": {"by_dataset": {"mvtec_ad": {"seeds": [1]}}}}
    plans = Plans(configured(**extending(tmp_path, methods=methods)))
    plan = plans.plan("mine")
    assert plan.seeds("mvtec_ad", "vm") == (0, 2)
    assert plan.seeds("mvtec_ad", "cavga_r_u") == plan.seeds("mvtec_ad", "reading_u_each") == (1,)
    assert plan.seeds("mnist", "cavga_r_u") == plan.seeds("mvtec_ad", "ae_l2") == (0,)
    assert plan.protocol.drawn == (0, 1, 2)
    found = {(cell.method, cell.seed) for cell in plans.cells("mine", "table3_iou")}
    assert {seed for method, seed in found if method == "vm"} == {0, 2}
    assert {seed for method, seed in found if method == "ae_l2"} == {0}


def test_seeds_change_no_fit_and_are_only_as_many_as_asked_for(configured, tmp_path):
    plain = Plan.load("mine", configured(**extending(tmp_path)))
    seeded = Plan.load("mine", configured(**extending(tmp_path, methods={"vm": {"seeds": [0, 1, 2]}})))
    cell = plain.cell("mvtec_ad", "nut", "vm", 0)
    assert plain.keys(cell) == seeded.keys(cell)
    given = Plan.load("mine", configured(seeds=[5], **extending(tmp_path, methods={"vm": {"seeds": [0, 1, 2]}})))
    assert given.seeds("mvtec_ad", "vm") == given.protocol.drawn == (5,)


def test_who_extends_a_protocol_and_names_seeds_means_all_methods(configured, tmp_path):
    methods = {"vm": {"seeds": [0, 1]}, "ae_l2": {"by_dataset": {"mvtec_ad": {"seeds": [4]}}}}
    given = extending(tmp_path, methods=methods)
    (tmp_path / "more.yaml").write_text("id: more\ntitle: more\nextends: mine\nseeds: [7, 8]\n")
    plan = Plan.load("more", configured(extra_protocols=[*given["extra_protocols"], "more.yaml"]))
    assert plan.seeds("mvtec_ad", "vm") == plan.seeds("mvtec_ad", "ae_l2") == plan.protocol.drawn == (7, 8)


@pytest.mark.parametrize("seeds", [[], [-1], [0, 0], "0-2"])
def test_seeds_that_are_none_are_refused(configured, tmp_path, seeds):
    with pytest.raises(ConfigError, match=r"methods\.vm.*seeds"):
        Plan.load("mine", configured(**extending(tmp_path, methods={"vm": {"seeds": seeds}})))


def readings(values, **plan):
    def answer(dataset, category, method, seed):
        return measured(values[method] + 0.01 * seed) if method in values and category == "bottle" else GONE

    return aggregate(records_of(FakePlan(answer, **plan)), load_numbers("readings_mvtad"))


def test_a_mean_is_over_the_methods_own_seeds_and_the_notes_say_whose():
    table = readings({"cavga_r_u": 0.2, "cavga_d_u": 0.1}, own_seeds={"cavga_r_u": (0, 1, 2)})
    cells = {series.id: cell for series, position, cell in table.by_series() if position.id == "iou"}
    assert cells["bottle/cavga_r_u"].reproduced == pytest.approx(0.21)
    assert (cells["bottle/cavga_r_u"].n_seeds, cells["bottle/cavga_d_u"].n_seeds) == (3, 1)
    assert any("(seed 0; cavga_r_u: mean over seeds 0, 1, 2)" in note for note in table.notes)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (0.2, 0.1, "of 2 rows cavga_r_u is nearest to print in IoU (0.200, printed 0.34); no row reaches"),
        (0.2, 0.336, "its printed number is reached by u: 1 - A of each latent channel."),
        (0.6, 0.3, "u: 1 - A of each latent channel is nearest to print in IoU (0.300, printed 0.34); its printed"),
    ],
)  # fmt: skip
def test_the_nearest_row_is_named_and_whether_any_reaches_print(first, second, said):
    (note,) = [
        note for note in readings({"cavga_r_u": first, "reading_u_each": second}).notes if "nearest to print" in note
    ]
    assert note.startswith("Bottle: ")
    assert said in note


def test_one_row_is_not_nearest_to_anything():
    assert not [note for note in readings({"cavga_r_u": 0.2}).notes if "nearest to print" in note]


def test_blocks_show_what_has_a_number_and_the_rest_is_still_counted():
    table, empty = readings({"cavga_r_u": 0.2}), readings({})
    assert [row.id for row in table.rows if row.role == "method"] == ["bottle/cavga_r_u"]
    assert {row.category for row in empty.rows} == {None}
    assert sum(table.coverage.values()) == sum(empty.coverage.values())
    rows = sum(row.role == "method" for row in empty.rows)
    assert sum(table.coverage.values()) == rows * len(FakePlan(lambda *_: GONE).categories("mvtec_ad"))
    open_ = [sum(reason.count for reason in t.missing if reason.state == "not_measured") for t in (table, empty)]
    assert open_[0] == open_[1] - 1


def test_a_group_taller_than_a_page_of_latex_is_cut():
    everything = dict.fromkeys((row.method for row in readings({}).rows), 0.2)
    text = to_latex(readings(everything))
    parts = text.split(r"\begin{tabular}")[1:]
    assert len(parts) > 1
    assert max(part.count(r"\\") for part in parts) < TALL
