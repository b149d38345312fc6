"""`cavga-bench watch` and the log that it reads; TensorBoard gets the same numbers where it is installed."""

from __future__ import annotations

import fcntl
import json
import sys
import time
import types
from io import StringIO

import pytest
import torch
from rich.console import Console

from harness.cli.main import main
from harness.records.plan import Plan
from harness.training.progress import Progress
from harness.workflow.runs import find_running, last_line, seconds_left
from harness.workflow.watch import clock, lines, watch


@pytest.fixture
def fit(monkeypatch, tmp_path):
    """An unfinished fit of a real cell with two lines of log, which nobody is at."""
    monkeypatch.chdir(tmp_path)
    plan = Plan.load("demo")
    cell = plan.cell("mvtec_ad", "brick", "lsa", 0)
    folder = plan.fit_folder(cell)
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    with Progress("fit", folder / "log.jsonl").loop("train", 4, 0, 16) as report:
        report(0, {"loss": torch.tensor(2.5)})
    return folder


@pytest.fixture
def running(fit):
    with (fit / "lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield fit


def test_a_report_says_when_how_long_and_where(fit):
    line = json.loads((fit / "log.jsonl").read_text())
    assert line["time"] == pytest.approx(time.time(), abs=60)
    assert line["seconds_left"] == pytest.approx(3 * 16 / line["images_per_s"], rel=0.1, abs=0.1)
    assert line["device"] == "cpu"


def test_a_running_fit_is_shown_with_its_numbers(running, capsys):
    assert main(["watch", "--once"]) == 0
    text = capsys.readouterr().out
    assert "demo demo_textures brick lsa seed 0" in text
    for word in ("train", "1/4", "2.5", "cpu", "1 fits running"):
        assert word in text


def test_the_log_of_a_killed_fit_is_not_shown_as_running(fit, capsys):
    assert main(["watch"]) == 0  # no terminal: once, plain
    text = capsys.readouterr().out
    assert "stopped train" in text
    assert "0 fits running; 1 stopped" in text


def test_a_finished_fit_is_not_shown(fit, capsys):
    (fit / "status.json").write_text('{"status": "measured"}')
    assert main(["watch", "--once"]) == 0
    assert capsys.readouterr().out == "0 fits running\n"


def test_a_fit_of_other_sources_that_was_stopped_is_not_shown(fit, capsys):
    fit.rename(fit.with_name("f" * 24))
    assert main(["watch", "--once"]) == 0
    assert "stopped" not in capsys.readouterr().out


def test_a_resumed_fit_does_not_show_the_last_attempts_numbers(running):
    line = json.loads((running / "log.jsonl").read_text())
    (running / "log.jsonl").write_text(json.dumps(line | {"time": time.time() - 3600}) + "\n")
    (found,) = find_running(running.parents[1], lambda key: None)
    assert (found.stage, found.line) == ("fit", {})
    assert "starting" in lines([found])[1]


def test_half_a_line_at_the_end_is_skipped(fit):
    with (fit / "log.jsonl").open("a") as file:
        file.write('{"loop": "train", "st')
    assert last_line(fit / "log.jsonl")["step"] == 1


def test_time_left_runs_on_between_reports():
    line = {"time": 100.0, "seconds_left": 50.0}
    assert seconds_left(line, now=120.0) == 30.0
    assert seconds_left(line, now=900.0) == 0.0
    assert seconds_left({"step": 1}) is None
    assert [clock(59.6), clock(3723)] == ["1:00", "1:02:03"]


def test_the_live_view_draws_the_table(running):
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    watch(lambda: list(find_running(running.parents[1], lambda key: None)), console, 0.0, rounds=2)
    assert "1/4" in out.getvalue()
    assert "1 fits running" in out.getvalue()


def test_tensorboard_gets_the_same_numbers(monkeypatch, tmp_path):
    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    with Progress("fit", tmp_path / "log.jsonl").loop("train", 5, 3, 16) as report:
        report(3, {"loss": torch.tensor(0.5)})
    line = json.loads((tmp_path / "log.jsonl").read_text())
    assert written[0] == (str(tmp_path / "tensorboard" / "train"), 4)
    assert ("loss", line["loss"], 4) in written
    assert [entry[1] for entry in written[1:-1] if entry[0] == "images_per_s"] == [
        pytest.approx(line["images_per_s"], abs=0.01)
    ]
    assert written[-1] == "closed"


def test_without_tensorboard_the_log_is_all(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with Progress("fit", tmp_path / "log.jsonl").loop("train", 5, 0, 16) as report:
        report(0, {"loss": torch.tensor(0.5)})
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
