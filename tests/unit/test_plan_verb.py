"""`cavga-bench plan`: states, costs, disk, what is ruled out, and what a budget buys."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.errors import ConfigError
from harness.estimate.budget import choose, command, parse_budget
from harness.estimate.estimate import SOURCES, UNKNOWN, Estimator
from harness.estimate.overview import TO_MEASURE, Fit, Overview
from harness.estimate.run_history import RunHistory
from harness.estimate.steps import Step, Steps
from harness.paths import ROOT
from harness.records.fingerprint import Keys
from harness.records.plan import Plan
from harness.records.record import Cost, Counts, Hardware
from harness.tables.plans import Plans
from harness.workflow.inputs import RuleInputs
from harness.workflow.job_status import write_status
from harness.workflow.targets import Targets
from tests.records import record_of, write

DEMO = "results/demo/table3_iou.tex"


@pytest.fixture(autouse=True)
def _empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()


def measured(protocol="demo", category="brick", method="ae_l2", folder="work/records", dataset="mvtec_ad", **over):
    """Write a record of a cell at its place and return the cell."""
    from pathlib import Path

    plan = Plan.load(protocol)
    cell = plan.cell(dataset, category, method, 0)
    over = {"training": {**plan.settings(cell).training, "micro_batches": 1}} | over
    write(record_of(plan, cell, **over), Path(folder))
    return cell


def images_seen_of(protocol, method):
    """Return how many training images a protocol lets a method see."""
    plan = Plan.load(protocol)
    category = next(iter(plan.categories("mvtec_ad")))
    return plan.settings(plan.cell("mvtec_ad", category, method, 0)).training["images_seen"]


def overview(*targets):
    grid = Plans(load_config())
    asked = Targets(RuleInputs(grid))
    return Overview(grid, [cell for target in targets for cell in asked.cells(target)])


def estimator(view):
    return Estimator(view.grid, RunHistory(view.grid), Steps())


def states(view, method="ae_l2"):
    return {s.cell.category: s.state for s in view.statuses if s.cell.method == method}


# states and fits


def test_cells_have_the_states_that_a_build_would_find():
    measured(category="brick")
    measured(category="grass", folder="records")
    measured(category="gravel", status="failed", reason="loss is not finite")
    assert states(overview(DEMO)) == {
        "brick": "measured", "grass": "recorded", "gravel": "failed", "nut": TO_MEASURE,
    }  # fmt: skip


def test_a_record_of_other_sources_is_stale_and_measured_again():
    cell = measured(keys=Keys("a" * 64, "a" * 64, "a" * 64, "a" * 64))
    view = overview(DEMO)
    assert states(view)["brick"] == "stale"
    assert cell in {cell for fit in view.fits for cell in fit.cells}


def test_under_recorded_nothing_is_to_run(monkeypatch, capsys):
    monkeypatch.setenv("CAVGA_CONFIG", '{"evidence": "recorded"}')
    assert main(["plan", DEMO]) == 0
    text = capsys.readouterr().out
    assert "no fits to run" in text
    assert "not measured: no accepted record" in text
    assert "unavailable" not in text, "the demo's data are here"


def test_methods_with_equal_settings_count_one_fit():
    view = overview("results/demo/table8_ablation")
    fits = {cell.method: fit.key for fit in view.fits for cell in fit.cells if cell.category == "brick"}
    assert fits["ablation_r_w_conv_cga"] != fits["ablation_r_u_flat"]
    full = fits["ablation_r_u_conv_ae"]
    assert sum(len(fit.cells) for fit in view.fits) > len(view.fits) or full == fits.get("cavga_r_u", full)


def test_missing_data_are_ruled_out_with_the_reason_and_the_licence(capsys):
    assert main(["plan", "results/table3_iou.tex", "results/main_table5_lag"]) == 0
    text = capsys.readouterr().out
    assert "no fits to run" in text
    assert "unavailable: not in the data root (mvtec_ad/)" in text
    assert "unavailable: password: ask the authors" in text
    assert "licence of mvtec_ad: CC BY-NC-SA 4.0, for non-commercial use only" in text


# costs


def test_without_a_record_the_cost_is_unknown_and_says_what_to_do(capsys):
    assert main(["plan", DEMO]) == 0
    text = capsys.readouterr().out
    assert UNKNOWN in text
    assert re.search(r"52 fits to run; 52 of them of unknown cost", text)


def test_another_categorys_record_gives_the_cost():
    measured(category="brick", fit=Cost(30.0, 1), export=Cost(3.0, 1))
    view = overview(DEMO)
    fit = next(fit for fit in view.fits if (fit.cell.category, fit.cell.method) == ("grass", "ae_l2"))
    found = estimator(view).estimate(fit)
    assert found.source == SOURCES[1]
    assert found.seconds == pytest.approx(33.0)
    assert found.gpu_seconds == 0


def test_other_sizes_scale_by_pixels_and_images_seen_where_the_options_are_equal(monkeypatch, tmp_path):
    for name in ("train/good", "test/good", "ground_truth"):
        (tmp_path / "root" / "mvtec_ad" / "bottle" / name).mkdir(parents=True)
    monkeypatch.setenv("CAVGA_DATA", str(tmp_path / "root"))
    counts = Counts(train=9, validation=1, test_normal=2, test_anomalous=1, excluded=0)
    spent = {"fit": Cost(10.0, 1), "export": Cost(3.0, 1), "counts": counts}
    measured(method="gamma_vae_g", **spent)
    measured(method="anogan", **spent)
    view = overview("results/lite/table3_iou")
    costs = {fit.cell.method: estimator(view).estimate(fit) for fit in view.fits}
    seen = {name: images_seen_of(name, "gamma_vae_g") for name in ("lite", "demo")}
    images = seen["lite"] / seen["demo"]
    assert costs["gamma_vae_g"].source == SOURCES[3]
    assert costs["gamma_vae_g"].seconds == pytest.approx(10.0 * images * 4 + 3.0 * 4 * 83 / 3)
    assert costs["anogan"] is None  # its networks differ between the protocols


@pytest.mark.parametrize(("method", "comparable"), [("cavga_d_u", True), ("ae_l2", False)])
def test_an_objects_record_serves_textures_only_with_the_same_options(method, comparable):
    measured(category="nut", method=method)
    view = overview(DEMO)
    fit = next(fit for fit in view.fits if (fit.cell.category, fit.cell.method) == ("grass", method))
    found = estimator(view).estimate(fit)
    assert (found is not None and found.source == SOURCES[1]) == comparable


def test_a_cpus_record_says_nothing_of_a_gpu(monkeypatch):
    measured()
    view = overview(DEMO)
    fit = next(fit for fit in view.fits if fit.cell.method == "ae_l2")
    monkeypatch.setattr("harness.estimate.estimate.visible_devices", lambda: ["0"])
    assert estimator(view).estimate(fit) is None


def test_gpu_hours_come_from_a_gpus_record(monkeypatch):
    hardware = Hardware("P", cores=1, memory_bytes=1, threads=1, device="cuda", gpu="G", cuda="1")
    measured(hardware=hardware, fit=Cost(30.0, 1), export=Cost(3.0, 1))
    view = overview(DEMO)
    fit = next(fit for fit in view.fits if fit.cell.method == "ae_l2")
    monkeypatch.setattr("harness.estimate.estimate.visible_devices", lambda: ["0"])
    assert estimator(view).estimate(fit).gpu_seconds == pytest.approx(33.0)


def test_a_finished_fit_costs_nothing():
    cell = measured(category="brick", fit=Cost(30.0, 1), export=Cost(3.0, 1))
    view = overview(DEMO)
    plan = view.grid.plan("demo")
    other = plan.cell("mvtec_ad", "grass", cell.method, 0)
    write_status(plan.data_folder(other) / "manifest.json", {"digest": "d"})
    write_status(plan.status_file(other), {"status": "measured", "data_digest": "d"})
    plan.maps(other).touch()
    fit = next(fit for fit in view.fits if fit.cell == other)
    assert estimator(view).estimate(fit).seconds == 0
    write_status(plan.status_file(other), {"status": "measured", "data_digest": "other data"})
    assert not overview(DEMO)._fit(fit.key, [other]).fitted


def test_a_fit_that_is_there_is_not_counted_as_one_to_run(capsys):
    plan = Plan.load("demo")
    cells = [plan.cell("mvtec_ad", category, "ae_l2", 0) for category in ("brick", "grass")]
    for cell in cells:
        write_status(plan.data_folder(cell) / "manifest.json", {"digest": "d"})
        write_status(plan.status_file(cell), {"status": "measured", "data_digest": "d"})
    plan.maps(cells[0]).touch()
    assert main(["plan", DEMO]) == 0
    assert "52 cells; 51 fits to run" in capsys.readouterr().out


def test_measured_steps_give_a_cost_until_the_sources_change():
    view = overview(DEMO)
    plan, cell = view.grid.plan("demo"), next(fit.cell for fit in view.fits if fit.cell.method == "lsa")
    steps, counts = Steps(), {"train": 40, "test_normal": 5, "test_anomalous": 5}
    steps.add(view.grid, cell, Step(plan.key(cell), "cpu", True, fixed=1.0, each=0.5, export=0.1, weights=9))
    total = images_seen_of("demo", "lsa") / 16
    found = Steps().seconds(view.grid, cell, "cpu", 36, counts)
    assert found == pytest.approx((1.0 + 0.5 * total, 1.0))
    steps.add(view.grid, cell, Step("another key", "cpu", True, fixed=1.0, each=0.5, export=0.1, weights=9))
    assert Steps().seconds(view.grid, cell, "cpu", 36, counts) is None


@pytest.mark.parametrize("method", ["lsa", "ti"])
def test_real_steps_are_measured(method):
    from harness.estimate.timing import time_steps

    plan = Plan.load("demo")
    cell = plan.cell("mvtec_ad", "brick", method, 0)
    step = time_steps(plan, cell)
    assert step.loop == (method == "lsa")
    assert step.key == plan.key(cell)
    assert step.export > 0
    assert step.fixed + step.each > 0
    assert step.weights > 0


def test_the_plan_starts_without_torch():
    code = (
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom harness.cli.main import main\n"
        f"assert main(['plan', {DEMO!r}, '--budget', '8h']) == 0\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


# disk


def test_disk_adds_up_arrays_weights_and_maps(monkeypatch, tmp_path, capsys):
    for name in ("train/good", "test/good", "ground_truth"):
        (tmp_path / "root" / "mvtec_ad" / "bottle" / name).mkdir(parents=True)
    monkeypatch.setenv("CAVGA_DATA", str(tmp_path / "root"))
    assert main(["plan", "results/lite/table10_cavga_d.tex", "results/lite/main_table3_iou_mvtad.tex"]) == 0
    from harness.estimate.disk import needs

    view = overview("results/lite/main_table3_iou_mvtad.tex")
    fits = [fit for fit in view.fits if fit.cell.method == "cavga_d_u"]
    arrays, weights, maps = needs(fits, estimator(view))
    assert arrays.bytes == 128**2 * ((209 + 83) * 3 + 83)
    assert maps.bytes == 128**2 * 83 * 2
    (many,) = [fit for fit in view.fits if fit.cell.method == "cavga_r_u" and fit.cell.seed == 0]
    named = Plan.load("lite").settings(many.cell).options["maps"]
    assert len(named) > 1
    assert needs([many], estimator(view))[2].bytes == (1 + len(named)) * maps.bytes
    assert (weights.unknown, weights.of) == (1, 1)
    assert "weights unknown for" in capsys.readouterr().out


# targets and words


def test_an_unknown_target_is_one_line_with_the_near_name(capsys):
    assert main(["plan", "results/demo/table3_iu.tex"]) == 2
    assert "did you mean 'table3_iou'?" in capsys.readouterr().err
    assert main(["plan", "results/dmo/table3_iou.tex"]) == 2
    assert "unknown protocol 'dmo'; did you mean 'demo'?" in capsys.readouterr().err
    assert main(["plan", "table3_iou"]) == 2
    assert "is no target" in capsys.readouterr().err


def test_figures_plots_and_everything_are_targets():
    grid = Plans(load_config())
    names = ("results/demo/fig1_lag.pdf", "results/demo/all", "results/demo/plot_table3_iou.png")
    figure, everything, plot = map(Targets(RuleInputs(grid)).cells, names)
    assert set(figure) | set(plot) <= set(everything)
    assert plot == grid.cells("demo", "table3_iou")


# budget


@pytest.mark.parametrize(("text", "seconds"), [("90m", 5400), ("8h", 28800), ("1.5d", 129600)])
def test_a_budget_is_read(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["8", "h", "0h", "-1h", "8 hours"])
def test_a_budget_that_is_no_time_says_how_to_write_one(text):
    with pytest.raises(ConfigError, match="write it like 90m"):
        parse_budget(text)


def world():
    """Three methods on two categories; costs 10 + 10, 1 + 30 and 5 + unknown."""
    plan = Plan.load("demo")
    cells = {(m, c): plan.cell("mvtec_ad", c, m, 0) for m in ("ae_l2", "lsa", "advae") for c in ("brick", "grass")}
    costs = dict(zip(cells, (10.0, 10.0, 1.0, 30.0, 5.0, None), strict=True))
    fits = [Fit("/".join(place), (cell,), False) for place, cell in cells.items()]
    return cells, fits, {"/".join(place): cost for place, cost in costs.items()}


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        (0.5, []),
        (1, ["lsa brick"]),
        (16, ["lsa brick", "advae brick", "ae_l2 brick"]),
        (21, ["ae_l2 brick", "ae_l2 grass", "lsa brick"]),
        (51, ["ae_l2 brick", "ae_l2 grass", "lsa brick", "lsa grass"]),
        (999, ["ae_l2 brick", "ae_l2 grass", "lsa brick", "lsa grass", "advae brick"]),
    ],
)
def test_whole_columns_come_first_then_single_cells_and_the_cheapest_of_each(budget, expected):
    cells, fits, costs = world()
    chosen = choose({"table": list(cells.values())}, fits, costs, budget)
    assert [f"{cell.method} {cell.category}" for cell in chosen] == expected


def test_a_shared_fit_is_paid_once():
    cells, _, _ = world()
    pair = (cells["ae_l2", "brick"], cells["lsa", "brick"])
    assert choose({"table": pair}, [Fit("one", pair, False)], {"one": 10.0}, 10.0) == list(pair)


def test_the_printed_command_builds_exactly_the_chosen_cells(capsys):
    measured(category="brick", fit=Cost(30.0, 1), export=Cost(3.0, 1))
    assert main(["plan", DEMO, "--budget", "2m"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    paths = [f"work/records/demo/demo_textures/{c}/ae_l2/seed0.json" for c in ("grass", "gravel")]
    assert line == f"snakemake --cores all -- {' '.join(paths)}"
    assert command([], gpu=True).startswith("snakemake --cores all --resources gpu=1")


def test_damaged_records_are_not_counted(tmp_path):
    path = tmp_path / "work" / "records" / "demo" / "demo_textures" / "brick" / "lsa" / "seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"status": "measured"}))
    assert RunHistory(Plans(load_config())).records == []
