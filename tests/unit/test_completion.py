"""Completion of the command line, as the shells ask for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import PROGRAM, VERBS
from harness.paths import ROOT

# Completing must not import what only computing needs: people press Tab and wait.
ASK = """
import sys
for slow in ("torch", "pandas", "snakemake"):
    sys.modules[slow] = None  # importing it is an error
from harness.cli.main import main
main()
"""


def completions(line: str, folder: Path) -> list[str]:
    """Return what argcomplete answers to a shell at the end of a line."""
    answer = folder / "answer"
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    asked |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", ASK]
    subprocess.run(command, env=os.environ | asked, cwd=folder, capture_output=True, check=True)
    return [word.strip() for word in answer.read_text().split("\n") if word.strip()]


def test_verbs(tmp_path):
    assert set(completions(f"{PROGRAM} pu", tmp_path)) == {"publish", "pull", "push"}
    assert set(completions(f"{PROGRAM} ", tmp_path)) >= set(VERBS)


@pytest.mark.parametrize(
    ("line", "option"), [("run --me", "--methods"), ("records --ou", "--output"), ("show --pr", "--protocol")]
)
def test_options(line, option, tmp_path):
    assert completions(f"{PROGRAM} {line}", tmp_path) == [option]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_that_help_shows_makes_a_completion_for_each_shell(shell):
    register = Path(sys.executable).with_name("register-python-argcomplete")
    done = subprocess.run([register, "-s", shell, PROGRAM], capture_output=True, text=True, check=True)
    assert PROGRAM in done.stdout
