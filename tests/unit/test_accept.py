"""Accepting records: what passes, what is refused and why, what is shown, what is never overwritten."""

import json
from dataclasses import replace

import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.records.plan import Plan
from tests.records import edit, other_code, record_of, write

CONFIG = load_config({"data_root": None})
PLAN = Plan.load("lite", CONFIG)
CELL = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", 0)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def fresh(here):
    return write(record_of(PLAN, CELL), here / "work" / "records")


@pytest.fixture
def accepted(here):
    return here / "records" / CELL.record


def accept(*arguments, status=0):
    assert main(["accept", "lite/*", *arguments]) == status


def test_a_sound_record_is_copied_byte_for_byte_and_no_other_file_is_left(fresh, accepted, here):
    accept()
    assert accepted.read_bytes() == fresh.read_bytes()
    assert [p for p in (here / "records").rglob("*") if p.is_file()] == [accepted]


def test_accepting_again_changes_nothing(fresh, accepted, capsys):
    accept()
    date = accepted.stat().st_mtime_ns
    accept()
    assert accepted.stat().st_mtime_ns == date
    assert "1 unchanged" in capsys.readouterr().out


def test_a_differing_record_is_overwritten_on_request_only_and_the_difference_is_shown(fresh, accepted, here, capsys):
    accept()
    before = accepted.read_bytes()
    write(record_of(PLAN, CELL, 0.75), here / "work" / "records")
    accept(status=1)
    assert accepted.read_bytes() == before
    assert "--replace" in capsys.readouterr().out
    accept("--replace")
    assert accepted.read_bytes() == fresh.read_bytes() != before
    assert "iou (fixed:0.5): 0.500000 → 0.750000 (+0.250000)" in capsys.readouterr().out


def test_the_same_numbers_of_another_run_are_no_silent_replacement(fresh, here, capsys):
    accept()
    write(record_of(PLAN, CELL, date="2024-05-02T12:00:00+00:00"), here / "work" / "records")
    accept(status=1)
    assert "the same numbers from another run" in capsys.readouterr().out


def test_a_dry_run_writes_nothing(fresh, here):
    accept("--dry-run")
    assert not (here / "records").exists()


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"status": "failed", "reason": "loss is not finite", "measures": []}, "failed: loss is not finite"),
        ({"dirty": True}, "uncommitted sources"),
        ({"measures": []}, "pixel_auroc: the record has no pixel_auroc"),
    ],
    ids=["failed", "dirty", "partial"],
)
def test_what_is_refused_in_one_line(here, accepted, capsys, over, reason):
    write(record_of(PLAN, CELL, **over), here / "work" / "records")
    accept(status=1)
    refused = [line for line in capsys.readouterr().out.splitlines() if line.startswith("refused ")]
    assert len(refused) == 1
    assert reason in refused[0]
    assert not accepted.exists()


@pytest.mark.parametrize(
    ("over", "switch"), [({"dirty": True}, "--allow-dirty"), ({"measures": []}, "--allow-partial")]
)
def test_what_a_switch_lets_pass(here, accepted, over, switch):
    write(record_of(PLAN, CELL, **over), here / "work" / "records")
    accept(switch)
    assert accepted.exists()


def test_a_value_that_no_table_asks_for_may_be_missing(here, accepted):
    record = record_of(PLAN, CELL)
    without = [replace(m, value=None) if m.name == "average_precision" else m for m in record.measures]
    write(replace(record, measures=tuple(without)), here / "work" / "records")
    accept()
    assert accepted.exists()


def test_a_stale_record_is_refused(here, capsys):
    write(record_of(PLAN, CELL, keys=other_code(PLAN, CELL)), here / "work" / "records")
    accept(status=1)
    assert "today's sources imply another fingerprint" in capsys.readouterr().out


def test_other_prepared_data_make_a_record_stale(fresh, capsys):
    manifest = PLAN.truth_folder(CELL) / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"digest": "e" * 64}))
    accept(status=1)
    assert "the prepared data have another digest" in capsys.readouterr().out


def test_an_altered_record_is_refused(fresh, accepted, capsys):
    edit(fresh, dirty=False, date="yesterday")
    accept(status=1)
    assert "altered after it was written" in capsys.readouterr().out
    assert not accepted.exists()


def test_a_record_under_another_seeds_name_is_refused(fresh, accepted, capsys):
    fresh.rename(fresh.with_name("seed1.json"))
    accept(status=1)
    assert "does not belong here" in capsys.readouterr().out


def test_a_stand_ins_record_is_refused(here, capsys):
    demo = Plan.load("demo", CONFIG)
    cell = demo.cell("mvtec_ad", next(iter(demo.categories("mvtec_ad"))), "cavga_r_u", 0)
    write(record_of(demo, cell), here / "work" / "records")
    assert main(["accept", "demo/*"]) == 1
    assert "measured on demo_textures, a stand-in" in capsys.readouterr().out


def test_one_refusal_does_not_stop_the_others(fresh, here, accepted):
    other = PLAN.cell("mvtec_ad", "cable", "cavga_r_u", 0)
    write(record_of(PLAN, other, dirty=True), here / "work" / "records")
    accept(status=1)
    assert accepted.exists()
    assert not (here / "records" / other.record).exists()


def test_a_target_names_its_cells_and_counts_what_is_not_measured(fresh, accepted, capsys):
    assert main(["accept", "results/lite/table3_iou.tex"]) == 0
    assert accepted.exists()
    assert "not measured" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("glob", "hit"),
    [("lite/mvtec_ad/bottle/cavga_*/seed0", True), ("work/records/lite/*/b*", True), ("lite/mvtec_ad/*/ae_*", False)],
)
def test_globs_match_part_by_part(fresh, accepted, glob, hit):
    assert main(["accept", glob]) == (0 if hit else 2)
    assert accepted.exists() == hit


@pytest.mark.parametrize("what", ["results/lite/no_such_table", "results/nowhere/table3_iou", "paper/*", "a/b/c/d/e/f"])
def test_unknown_names_are_one_line(fresh, capsys, what):
    assert main(["accept", what]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
