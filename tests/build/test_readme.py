"""Every command that the README shows is one that works here: targets exist, builds plan, verbs know their words."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.cli.main import main
from benchmark.config import ROOT

BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
LINES = [line.split("#")[0].strip() for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if line and not line.startswith("export ")]
VERBS = re.findall(r"`python -m benchmark ([^`]+)`", (ROOT / "README.md").read_text())
LINKS = re.findall(r"\]\((?!https?:)([^)#]+)\)", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_plans(command, tmp_path):
    words = shlex.split(command)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if words[0] == "make":
        words.insert(1, "-n")
    elif words[0] == "snakemake":
        words += ["-n", "--directory", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", VERBS)
def test_a_shown_verb_knows_its_words(words, capsys):
    verb, *rest = shlex.split(words)
    with pytest.raises(SystemExit) as info:
        main([verb, *rest, "--help"])
    assert info.value.code == 0
    assert all(word in capsys.readouterr().out for word in rest if word.startswith("--"))


@pytest.mark.parametrize("path", LINKS)
def test_a_linked_file_exists(path):
    assert (ROOT / path).exists()


def test_the_readme_shows_commands():
    assert {"make demo", "make test"} <= set(COMMANDS)
