"""The last words of a build name the failed cell and its log, not the hash under which failures are counted."""

from __future__ import annotations

import json
import os

import pytest

from harness.records.plan import Plan
from harness.workflow.failed import Build
from harness.workflow.job_status import failure_name, note_failure

PLAN = Plan.load("demo")
CELL = PLAN.cell("mvtec_ad", "brick", "ae_l2", 0)


@pytest.fixture
def failures(tmp_path, monkeypatch, capsys):
    """Return a function that counts a failure of a name, and returns what a build then prints of it."""
    monkeypatch.chdir(tmp_path)

    def lines(name: str, log: str | None = None) -> str:
        build = Build()
        note_failure(tmp_path / "work", name, "NameError: name 'x'")
        if log is not None:
            (tmp_path / log).parent.mkdir(parents=True)
            (tmp_path / log).touch()
        with pytest.raises(SystemExit, match="1"):
            build.end()
        return capsys.readouterr().err

    return lines


def test_a_fit_is_named_by_its_cell_and_log(failures):
    log = f"work/logs/fit/{PLAN.key(CELL)}.log"
    assert failures(PLAN.key(CELL), log) == (
        f"failed: fit of ae_l2 on demo_textures brick, seed 0 (demo): NameError: name 'x'; log: {log}\n"
    )


def test_prepared_data_and_records_are_named_with_their_logs(failures):
    name = failure_name(CELL.record)
    log = f"work/logs/evaluate/{name}.log"
    assert failures(name, log) == f"failed: evaluate {name}: NameError: name 'x'; log: {log}\n"
    name = "demo.demo_textures.brick.64px"
    log = f"work/logs/prepare/{name}.log"
    assert f"failed: prepare {name}: NameError: name 'x'; log: {log}\n" in failures(name, log)


def test_a_fit_that_today_no_table_asks_for_keeps_its_key(failures, monkeypatch):
    key = "0" * 24
    assert failures(key) == f"failed: fit of {key}: NameError: name 'x'\n"
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"extra_protocols": ["gone.yaml"]}))
    assert failures(key) == f"failed: fit of {key}: NameError: name 'x'\n", "a failure is told whatever else is wrong"


def test_a_job_that_was_stopped_is_told_by_the_last_line_of_its_log(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before, stopped, well = (tmp_path / "work" / "logs" / "fit" / f"{name}.log" for name in "abc")
    before.parent.mkdir(parents=True)
    before.write_text("error: of an earlier build\n")
    os.utime(before, (0, 0))
    build = Build()
    well.write_text("error: no, a line of many\ndone\n")
    build.end()
    stopped.write_text("step 1\nerror: fit: the disk is full\n")
    with pytest.raises(SystemExit, match="1"):
        build.end()
    assert capsys.readouterr().err == "failed: fit: the disk is full; log: work/logs/fit/b.log\n"
