"""Ctrl-C: one line and exit code 130, and whoever was started is given the time to clear up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import VERBS, main
from harness.paths import ROOT


@pytest.mark.parametrize("verb", VERBS)
def test_an_interrupted_verb_says_one_line(verb, monkeypatch, capsys):
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"harness.cli.{VERBS[verb].module}.add_{verb}", lambda parser: interrupted)
    assert main([verb]) == 130
    assert capsys.readouterr().err == f"{verb}: interrupted; give the command again to go on\n"


def started(*words: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=listening,
    )  # fmt: skip


def listening() -> None:
    """Undo what a shell does to its jobs in the background: they ignore Ctrl-C, and hand that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_signal_from_the_keyboard_leaves_no_traceback(tmp_path):
    pipe = tmp_path / "work/records/lite/mvtec_ad/bottle/vm/seed0.json"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    process = started("-m", "harness", "records", folder=tmp_path)
    with pipe.open("w"):  # opens as soon as the verb reads
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (130, "records: interrupted; give the command again to go on\n")


def test_a_program_that_was_started_ends_in_its_own_time(tmp_path):
    slow = "import time, sys\ntry: print('up', flush=True); time.sleep(60)\nexcept KeyboardInterrupt: pass\n"
    slow += "time.sleep(1); open('cleared', 'w'); sys.exit(3)"
    call = f"import sys; from harness.cli.common import run_to_end; run_to_end([sys.executable, '-c', {slow!r}])"
    process = started("-c", call, folder=tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=120)
    assert (tmp_path / "cleared").exists()
    assert "KeyboardInterrupt" in error
