"""The bar of a build: what Snakemake's events make of it, on a terminal and off one; and the plugin in a real build."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.paths import ROOT
from harness.workflow.bar import Bar, described

FIT = "python -m harness fit --protocol lite --dataset mvtec_ad --category bottle --method avid --seed 0 > work/x.log"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def record(event: str | None = None, level: int = logging.INFO, message: str = "", **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("snakemake", level, __file__, 1, message, None, None)
    vars(made).update({"event": event} if event else {}, **extra)
    return made


def bar(*, terminal: bool) -> tuple[Bar, io.StringIO, Clock]:
    out, clock = io.StringIO(), Clock()
    return Bar(Console(file=out, force_terminal=terminal, width=100), clock), out, clock


def begin(shown: Bar, total: int = 10) -> None:
    shown.take(record("run_info", stats={"fit": total - 1, "total": total}))
    shown.take(record("job_info", jobid=3, rule_name="fit", wildcards={"key": "0a1b"}, shellcmd=FIT))
    shown.take(record("job_started", jobs=[3]))


@pytest.mark.parametrize(
    ("job", "text"),
    [
        ({"rule_name": "fit", "wildcards": {"key": "0a1b"}, "shellcmd": FIT}, "fit avid bottle"),
        (
            {"rule_name": "render", "wildcards": {"table": "table3_iou"}, "shellcmd": "python -m harness"},
            "render table3_iou",
        ),
        ({"rule_name": "all", "wildcards": None, "shellcmd": None}, "all"),
    ],
)
def test_a_job_is_named_by_its_cell(job: dict[str, object], text: str) -> None:
    assert described(job) == text


def test_a_terminal_shows_one_bar_with_what_runs_and_the_time_left() -> None:
    shown, out, clock = bar(terminal=True)
    begin(shown)
    clock.now = 60
    shown.take(record("progress", done=2, total=10))
    shown.progress.refresh()
    assert "2/10" in out.getvalue()
    assert "about 4 minutes left fit avid bottle" in out.getvalue()
    shown.close()
    assert out.getvalue().rstrip().endswith("2 of 10 steps in 60 seconds")


def test_a_log_gets_a_plain_line_now_and_then() -> None:
    shown, out, clock = bar(terminal=False)
    begin(shown)
    for clock.now in range(0, 60):
        shown.take(record("progress", done=clock.now // 15, total=10))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("1 of 10 steps, about 3 minutes left, fit avid bottle")
    assert "\x1b" not in out.getvalue()


def test_a_job_that_ended_is_not_named_any_more() -> None:
    shown, out, clock = bar(terminal=False)
    begin(shown)
    shown.take(record("job_info", jobid=4, rule_name="evaluate", wildcards={"method": "vm"}, shellcmd=""))
    shown.take(record("job_started", jobs=[4]))
    shown.take(record("job_error", level=logging.ERROR, message="Error in rule fit", jobid=3))
    clock.now = 30
    shown.take(record("job_finished", job_id=99))
    assert out.getvalue().strip() == "0 of 10 steps, evaluate vm", "the build's last words tell of the failure, once"


def test_errors_warnings_and_nothing_to_do_are_said_and_chatter_is_not() -> None:
    shown, out, _ = bar(terminal=False)
    for message, level in (("Select jobs to execute...", logging.INFO), ("no such [bold] target", logging.ERROR)):
        shown.take(record(level=level, message=message))
    shown.take(record(message="Nothing to be done (all requested files are present and up to date)."))
    assert out.getvalue().splitlines()[0] == "no such [bold] target"
    assert len(out.getvalue().splitlines()) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_snakemake_finds_the_plugin(tmp_path: Path, fails: bool) -> None:
    (tmp_path / "Snakefile").write_text(
        'rule all:\n    input: expand("o{i}", i=range(3))\n'
        f'rule one:\n    output: "o{{i}}"\n    shell: "{"exit 1" if fails else "touch {output}"}"\n'
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'workflow/loggers'}:{ROOT}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "bar", "--workflow-profile", "none"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == int(fails)
    assert "Select jobs" not in done.stderr
    assert ("4 of 4 steps in" in done.stderr) is not fails


def test_an_unused_plugin_loads_no_harness() -> None:
    """Snakemake imports every plugin it finds; the Snakefile's own `harness` has to be the first one loaded."""
    code = "import sys, snakemake_logger_plugin_bar as plugin; print(plugin.__file__, 'harness' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'workflow/loggers'}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(ROOT / "workflow/loggers/snakemake_logger_plugin_bar/__init__.py"), "False"]
