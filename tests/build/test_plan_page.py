"""Every command that docs/plan.md shows is one that works here."""

from __future__ import annotations

import re
import shlex

import pytest

from harness.cli.main import main
from harness.paths import ROOT

PAGE = (ROOT / "docs" / "plan.md").read_text()
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.replace("\\\n", " ").splitlines()
]
# snakemake's commands and `run`, which starts it, are planned by tests/build/test_pages.py
COMMANDS = [line for line in LINES if line and not line.startswith(("snakemake ", "cavga-bench run "))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One folder for all commands: a later one reads what an earlier one wrote."""
    return tmp_path_factory.mktemp("page")


@pytest.mark.xdist_group("plan_page")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_works(command, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = shlex.split(command)
    assert words[0] == "cavga-bench"
    arguments = [word for word in words[1:] if word != "--measure"]  # the steps have a test of their own
    assert main(arguments) == 0, capsys.readouterr().err


def test_the_page_shows_every_option():
    for verb, option in (("plan", "--budget"), ("plan", "--measure"), ("watch", "--once")):
        assert any(f"cavga-bench {verb} " in line and option in line for line in COMMANDS)


def test_the_named_scripts_exist():
    assert (ROOT / "benchmarks" / "plan.py").exists()
