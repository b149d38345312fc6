"""Verifying: sound records and results pass; every edit of either is found and named."""

import json
import subprocess

import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.records.plan import Plan
from tests.records import build_table, edit, other_code, record_of, write

PLAN = Plan.load("lite", load_config({"evidence": "recorded", "data_root": None, "seeds": [0]}))
BOTTLE = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", 0)
CABLE = PLAN.cell("mvtec_ad", "cable", "cavga_r_u", 0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Two accepted records and a table that was built from them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", '{"seeds": [0]}')  # lite measures some methods with several
    for cell, value in ((BOTTLE, 0.4), (CABLE, 0.6)):
        write(record_of(PLAN, cell, value), tmp_path / "records")
    build_table(monkeypatch)
    assert main(["publish", "lite"]) == 0
    return tmp_path


def faults(capsys, status=1):
    assert main(["verify"]) == status
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("fault: ")]


def test_sound_records_and_results_pass(here, capsys):
    assert main(["verify"]) == 0
    out = capsys.readouterr().out
    assert "2 records, 1 results: 0 faults, 0 stale cells" in out
    assert "claims on the published numbers: " in out
    assert "claims on reproduced numbers (paper protocol): 31 cannot be judged" in out


@pytest.mark.parametrize("form", ["csv", "tex", "html"])
def test_one_byte_in_a_view_is_found(here, capsys, form):
    view = here / "docs" / "results" / "lite" / f"table3_iou.{form}"
    view.write_text(view.read_text() + " ")
    (line,) = faults(capsys)
    assert f"docs/results/lite/table3_iou.{form}: differs" in line


def test_a_missing_view_is_found(here, capsys):
    (here / "docs" / "results" / "lite" / "table3_iou.html").unlink()
    assert "missing" in faults(capsys)[0]


def test_an_edited_number_in_the_json_is_found_though_rendered_again(here, capsys):
    path = here / "docs" / "results" / "lite" / "table3_iou.json"
    text = path.read_text()
    assert '"reproduced": 0.4,' in text
    path.write_text(text.replace('"reproduced": 0.4,', '"reproduced": 0.9,', 1))
    assert main(["render", str(path)]) == 0
    (line,) = faults(capsys)
    assert "differs from what the accepted records give" in line


def test_a_result_in_another_place_is_found(here, capsys):
    (here / "docs" / "results" / "lite").rename(here / "docs" / "results" / "demo")
    assert any("holds docs/results/lite/table3_iou.json" in line for line in faults(capsys))


def test_a_record_that_was_added_since_is_found(here, capsys):
    write(record_of(PLAN, PLAN.cell("mvtec_ad", "zipper", "cavga_r_u", 0)), here / "records")
    (line,) = faults(capsys)
    assert "differs from what the accepted records give" in line
    views = "results/lite/table3_iou.{csv,tex,html}"
    assert line.endswith(f"-- {views} && cavga-bench publish lite"), "every view is stale"


def test_an_edited_record_is_found(here, capsys):
    edit(here / "records" / BOTTLE.record, fit={"seconds": 1.0, "peak_memory_bytes": 1})
    lines = faults(capsys)
    assert "bottle/cavga_r_u/seed0.json: was altered" in lines[0]


def test_a_resealed_record_whose_number_was_edited_is_found_in_the_table(here, capsys):
    path = here / "records" / BOTTLE.record
    measures = json.loads(path.read_text())["measures"]
    edit(path, sealed=True, measures=[m | {"value": 0.99} for m in measures])
    assert "differs from what the accepted records give" in faults(capsys)[0]


def test_one_fit_that_serves_two_cells_is_found(here, capsys):
    path = here / "records" / BOTTLE.record
    other = path.with_name("seed1.json")
    other.write_text(path.read_text())
    edit(other, sealed=True, seed=1)
    assert any(
        "is that of another cell" in line or "is that of lite/mvtec_ad/bottle/0" in line for line in faults(capsys)
    )


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"status": "failed", "reason": "no"}, "a failed cell's record"),
        ({"remark": "x"}, "remark"),
        ({"fingerprint": "0" * 64}, "does not follow from its own keys"),
    ],
    ids=["failed", "schema", "fingerprint"],
)
def test_resealed_records_that_are_no_evidence(here, capsys, over, reason):
    edit(here / "records" / BOTTLE.record, sealed=True, **over)
    assert reason in faults(capsys)[0]


def test_a_stray_file_is_found(here, capsys):
    (here / "records" / "lite" / "notes.json").write_text("{}")
    assert "is no record's place" in faults(capsys)[0]


def test_a_stand_ins_record_is_found(here, capsys):
    demo = Plan.load("demo", load_config({"data_root": None}))
    cell = demo.cell("mvtec_ad", next(iter(demo.categories("mvtec_ad"))), "cavga_r_u", 0)
    write(record_of(demo, cell), here / "records")
    assert "a stand-in's record is no evidence" in faults(capsys)[0]


def test_a_stale_record_is_listed_and_no_fault_while_the_table_says_so(here, capsys, monkeypatch):
    write(record_of(PLAN, CABLE, 0.6, keys=other_code(PLAN, CABLE)), here / "records")
    build_table(monkeypatch)
    assert main(["publish", "lite"]) == 0
    assert main(["verify"]) == 0
    out = capsys.readouterr().out
    assert "stale: records/lite/mvtec_ad/cable/cavga_r_u/seed0.json" in out
    assert "0 faults, 1 stale cells" in out


def test_other_data_on_this_machine_make_records_stale_but_break_no_committed_table(here, capsys):
    manifest = PLAN.truth_folder(BOTTLE) / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"digest": "e" * 64}))
    assert main(["verify"]) == 0
    assert "1 stale cells" in capsys.readouterr().out


@pytest.mark.git
def test_in_a_repository_only_what_git_knows_is_verified(here, capsys):
    def git(*words):
        subprocess.run(["git", *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", "docs/results/lite/table3_iou.json")
    (here / "docs" / "results" / "lite" / "own.json").write_text("{}")
    assert main(["verify"]) == 0
    assert "1 results" in capsys.readouterr().out
    git("add", "docs/results/lite/own.json")
    assert "own.json: not the JSON of a table" in faults(capsys)[0]


def test_what_is_not_accepted_is_not_published(here, capsys, monkeypatch):
    (here / "records" / BOTTLE.record).unlink()
    assert main(["publish", "lite"]) == 1
    assert "refused table3_iou: holds numbers that are not accepted" in capsys.readouterr().out
    assert "0.4" in (here / "docs" / "results" / "lite" / "table3_iou.csv").read_text()
    build_table(monkeypatch)
    assert main(["publish", "lite"]) == 0
    assert main(["verify"]) == 0


def test_publishing_what_was_not_built_is_one_line(here, capsys):
    assert main(["publish", "demo"]) == 2
    assert "error: results/demo: no table was built; run: make results/demo/all" in capsys.readouterr().err
    assert main(["publish", "lit"]) == 2
    assert "did you mean 'lite'?" in capsys.readouterr().err
