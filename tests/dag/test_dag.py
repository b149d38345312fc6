"""What a build would run after a change: each sentence of the design on staleness is a test."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.audit.trace import rebuild_command
from harness.figures.spec import figure_ids
from harness.paths import ROOT
from harness.records.reading import read_record
from harness.records.record import dumps, seal
from harness.tables.spec import load_table, table_ids
from tests.dag.conftest import Copy
from tests.painters import mvtec

pytestmark = pytest.mark.xdist_group("dag")
CATEGORIES, METHODS = 4, 3
CELLS = CATEGORIES * METHODS


def test_an_up_to_date_build_does_nothing(copy):
    assert copy.plan() == {}


def test_touching_every_file_retrains_nothing(copy):
    for path in copy.folder.rglob("*.py"):
        os.utime(path)
    assert not copy.plan().keys() & {"prepare", "fit", "evaluate"}


def test_comments_and_docstrings_retrain_nothing(copy):
    copy.append("cavga/losses.py", "\n# another comment\n")
    copy.edit("cavga/losses.py", '"""', '"""More words. ')
    assert copy.plan() == {}


def test_editing_a_caption_renders_again_and_nothing_else(copy):
    copy.edit("tables/mini.yaml", "A caption.", "Another caption.")
    assert copy.plan() == {"aggregate": 1, "render": 1}


def test_editing_a_printed_number_renders_again_and_nothing_else(copy):
    copy.edit("published/table3_iou.csv", "bottle,0.28", "bottle,0.29")
    assert copy.plan() == {"aggregate": 1, "render": 1}


def test_editing_a_measure_evaluates_again_without_retraining(copy):
    copy.append("harness/metrics/regions.py", "\nEXTRA = 1\n")
    assert copy.plan() == {"evaluate": CELLS, "aggregate": 1, "render": 1}


def test_editing_the_papers_losses_refits_the_papers_cells_only(copy):
    copy.append("cavga/losses.py", "\nEXTRA = 1\n")
    plan = copy.plan()
    assert plan["fit"] == plan["evaluate"] == 2 * CATEGORIES
    assert copy.planned_cells("fit") == {"cavga_d_u", "cavga_r_u"}


def test_editing_one_baseline_refits_its_cells_and_no_others(copy):
    copy.append("baselines/autoencoder.py", "\nEXTRA = 1\n")
    assert copy.planned_cells("fit") == {"ae_l2"}
    assert "prepare" not in copy.plan()


def test_a_baseline_that_the_table_does_not_name_changes_nothing(copy):
    copy.append("baselines/anogan.py", "\nEXTRA = 1\n")
    assert copy.plan() == {}


def test_editing_a_methods_option_refits_its_cells(copy):
    copy.edit("config/methods.yaml", "error: l2", "error: ssim")
    assert copy.planned_cells("fit") == {"ae_l2"}


def test_editing_a_title_renders_again_and_nothing_else(copy):
    text = (copy.folder / "config" / "methods.yaml").read_text()
    title = text.split("\nae_l2:")[1].split("title: ")[1].split("\n")[0]
    copy.edit("config/methods.yaml", f"title: {title}", "title: Renamed")
    assert copy.plan() == {"aggregate": 1, "render": 1}


def test_accepted_records_serve_a_clone_that_trains_nothing(copy):
    shutil.copytree(copy.folder / "work" / "records", copy.folder / "records")
    for name in ("work", ".snakemake", "results"):
        shutil.rmtree(copy.folder / name)
    assert copy.plan() == {"aggregate": 1, "render": 1}


def test_a_stale_accepted_record_is_measured_again_under_auto_and_kept_under_recorded(copy):
    shutil.copytree(copy.folder / "work" / "records", copy.folder / "records")
    for name in ("work", ".snakemake", "results"):
        shutil.rmtree(copy.folder / name)
    copy.append("baselines/autoencoder.py", "\nEXTRA = 1\n")
    assert copy.planned_cells("fit") == {"ae_l2"}
    recorded = copy.plan("results/demo/mini.tex", "--config", "evidence=recorded")
    assert recorded == {"aggregate": 1, "render": 1}


def test_fresh_measures_everything_whatever_was_accepted(copy):
    shutil.copytree(copy.folder / "work" / "records", copy.folder / "records")
    for name in ("work", ".snakemake", "results"):
        shutil.rmtree(copy.folder / name)
    assert copy.plan("results/demo/mini.tex", "--config", "evidence=fresh")["fit"] == CELLS


def test_a_failed_fit_is_tried_again_once_by_the_next_build(copy):
    record = next((copy.folder / "work" / "records").rglob("ae_l2/seed0.json"))
    content = json.loads(record.read_text()) | {"status": "failed", "reason": "loss is not finite"}
    record.write_text(dumps(content | {"seal": seal(content)}))
    failures = copy.folder / "work" / "failures" / read_record(record).fit_key
    failures.parent.mkdir()
    failures.write_text("loss is not finite\n")
    assert copy.plan()["fit"] == 1
    copy.build()
    assert copy.plan() == {}


def test_data_with_another_digest_refit_what_was_trained_on_them(copy):
    manifest = next(copy.folder.glob("work/data/demo/*/grass/*/manifest.json"))
    manifest.write_text(json.dumps({"digest": "other"}))
    plan = copy.plan()
    assert plan["fit"] == plan["evaluate"] >= METHODS, "lite measures some methods with several seeds"


def test_two_methods_with_equal_settings_share_a_fit(copy):
    path = copy.folder / "config" / "methods.yaml"
    methods = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(methods | {"twin": methods["cavga_r_u"]}, sort_keys=False))
    demo = copy.folder / "config" / "protocols" / "demo.yaml"
    content = yaml.safe_load(demo.read_text())
    content["methods"]["twin"] = content["methods"]["cavga_r_u"]
    demo.write_text(yaml.safe_dump(content, sort_keys=False))
    copy.edit("tables/mini.yaml", "- method: ae_l2", "- method: ae_l2\n- method: twin")
    plan = copy.plan()
    assert plan["evaluate"] == CATEGORIES
    assert "fit" not in plan


@pytest.mark.parametrize("protocol", ["", "lite/", "demo/"])
def test_every_documented_target_plans(protocol, tmp_path, copy):
    shutil.rmtree(copy.folder / "tables")
    shutil.copytree(ROOT / "tables", copy.folder / "tables")
    plan = copy.plan(f"results/{protocol}all")
    on_request = {name for name in table_ids() if load_table(name).on_request}
    assert plan["render"] == 3 * len(set(table_ids()) - on_request)
    assert plan["figure"] == len(figure_ids())
    assert plan["layers"] == 2
    assert plan["report"] == plan["document"] == plan["all"] == 1


def test_valid_records_ask_for_nothing_below_them(copy):
    shutil.rmtree(copy.folder / "work" / "data")
    shutil.rmtree(copy.folder / "work" / "fits")
    lost = next((copy.folder / "work" / "records").rglob("ae_l2/seed0.json"))
    lost.unlink()
    shutil.rmtree(copy.folder / "results")
    assert copy.plan() == {"prepare": 1, "fit": 1, "evaluate": 1, "aggregate": 1, "render": 1}


FIGURE = {
    "id": "fig_mini", "label": "Fig. 0", "title": "t", "caption": "A caption.", "dataset": "mvtec_ad", "part": 1,
    "parts": 1, "images": 1, "choose_by": "cavga_r_u", "methods": ["ae_l2", "cavga_r_u"],
}  # fmt: skip


def test_a_figure_trains_for_maps_only_where_no_record_carries_pictures(copy):
    (copy.folder / "tables" / "fig_mini.yaml").write_text(yaml.safe_dump(FIGURE))
    target = "results/demo/fig_mini.pdf"
    shutil.copytree(copy.folder / "work" / "records", copy.folder / "records")
    shutil.rmtree(copy.folder / "work" / "fits")
    assert copy.plan(target)["fit"] == 2 * CATEGORIES, "records without pictures"
    for path in (copy.folder / "records").rglob("*.json"):
        content = json.loads(path.read_text())
        content["overlays"] = [{"image": "0.png", "iou": 0.5, "picture": "data:image/webp;base64,"}]
        path.write_text(dumps(content | {"seal": seal(content)}))
    assert copy.plan(target) == {"figure": 1}
    lost = next((copy.folder / "records").rglob("ae_l2/seed0.json"))
    lost.unlink()
    next((copy.folder / "work" / "records").rglob(str(lost.relative_to(copy.folder / "records")))).unlink()
    assert copy.plan(target) == {"fit": 1, "evaluate": 1, "figure": 1}


def test_another_way_of_preparing_prepares_and_refits_though_records_are_there(copy):
    copy.append("harness/data/prepare.py", "\nEXTRA = 1\n")
    plan = copy.plan()
    assert plan["prepare"] == CATEGORIES
    assert plan["fit"] == plan["evaluate"] == CELLS


def test_from_another_folder_the_same_is_planned(copy, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(copy.folder / "work" / "records", copy.folder / "records")
    snakefile = str(copy.folder / "Snakefile")
    text = copy.snakemake("-n", "-s", snakefile, "-d", str(tmp_path / "elsewhere"), "results/demo/mini.tex")
    counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.M))
    assert counts == {"aggregate": "1", "render": "1", "total": "2"}


def test_the_default_target_is_the_demos_table_3(copy):
    shutil.copy(ROOT / "tables" / "table3_iou.yaml", copy.folder / "tables")
    text = copy.snakemake("-n")
    assert "results/demo/table3_iou.html" in text


def test_the_users_data_folder_makes_real_cells_buildable(copy, tmp_path, monkeypatch):
    mvtec(tmp_path / "data" / "mvtec_ad")
    assert "fit" not in copy.plan("results/lite/mini.tex")
    monkeypatch.setattr(copy, "environment", lambda: Copy.environment() | {"CAVGA_DATA": str(tmp_path / "data")})
    plan = copy.plan("results/lite/mini.tex")
    assert plan["fetch"] == 1
    assert plan["fit"] == plan["evaluate"] >= METHODS, "lite measures some methods with several seeds"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("nonsense=1", "unknown key 'nonsense'"),
        ("extra_protocols=[mine.yaml]", "mine.yaml: no such file"),
        ("extra_datasets=[mine.yaml]", "mine.yaml: no such file"),
        ("data_root=nowhere", "data_root 'nowhere': no such folder"),
    ],
)
def test_a_wrong_configuration_is_one_line(copy, override, words):
    command = [sys.executable, "-m", "snakemake", "-n", "--config", override, "--", "results/demo/mini.tex"]
    done = subprocess.run(command, cwd=copy.folder, env=copy.environment(), capture_output=True, text=True)
    assert done.returncode != 0
    assert [line for line in done.stderr.splitlines() if line.startswith("error: ")][-1].count(words) == 1
    assert "Traceback" not in done.stderr


def test_the_demo_needs_neither_gpu_nor_network(copy):
    text = copy.snakemake("-n", "-p", "--forceall", "results/demo/mini.tex")
    assert "gpu=1" not in text
    assert "cavga-bench fetch" not in text


def test_the_command_that_a_trace_prints_rebuilds_one_cell_and_nothing_else(copy):
    path = min((copy.folder / "work" / "records").rglob("seed0.json"))
    command = rebuild_command(path.relative_to(copy.folder / "work" / "records").as_posix()).split()
    assert command[:3] == ["snakemake", "--cores", "4"]
    text = copy.snakemake("-n", *command[3:])
    counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.M))
    assert counts == {"fit": "1", "evaluate": "1", "total": "2"}
    before = path.stat().st_mtime_ns
    copy.snakemake(*command[3:])
    assert path.stat().st_mtime_ns > before


def test_snakemakes_own_report_holds_the_table_with_its_caption(copy):
    copy.snakemake("results/demo/mini.html")
    copy.snakemake("results/demo/mini.html", "--report", "report.html")
    text = (copy.folder / "report.html").read_text()
    assert "mini" in text
    assert "Tables" in text


def test_profiles_and_rules_lie_where_snakemake_looks():
    assert Path(ROOT, "profiles", "default", "profile.yaml").exists()
