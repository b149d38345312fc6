"""Every command that the README and docs/ show is one that works here: targets plan, verbs know their words."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.main import VERBS, main
from harness.paths import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIG = ROOT / "config" / "examples"
EXAMPLES = [f"extra_datasets=[{CONFIG / 'datasets.yaml'}]", f"extra_protocols=[{CONFIG / 'hazelnut.yaml'}]"]
# What a page may show although a test cannot run it: it belongs to another machine, or to the shell itself.
ELSEWHERE = ("export ", "git ", "cd ", "conda ", "docker ", "kubectl ", "sbatch ", "sinfo", "squeue", "pip ")


def commands(page: Path) -> list[str]:
    """Return the commands of a page's sh blocks, continued lines joined, comments cut off."""
    lines = [line for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.S) for line in joined(block)]
    return [line for line in lines if line and not line.startswith(ELSEWHERE)]


def joined(block: str) -> list[str]:
    return [re.sub(r"\s+# .*|^# .*", "", line).strip() for line in block.replace("\\\n", " ").splitlines()]


def named(values: list[tuple[Path, str]]) -> list[object]:
    return [pytest.param(value, id=f"{page.name}: {value}") for page, value in dict.fromkeys(values)]


COMMANDS = named([(page, command) for page in PAGES for command in commands(page)])
SPANS = named([(p, s) for p in PAGES for s in re.findall(r"`python -m harness ([^`]+)`", p.read_text())])
LINKS = [(page, link) for page in PAGES for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text())]


def shell_words(command: str) -> list[str]:
    """Return the words that a shell makes of a command, braces expanded."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def plans(words: list[str], folder: Path) -> None:
    """Assert that a command, made one that changes nothing, ends well."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if words[0] == "snakemake":
        examples = [] if "--config" in words else ["--config", *EXAMPLES]
        words = ["snakemake", *examples, "-n", "--directory", str(folder), "--quiet=all", *words[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def knows(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that a verb exists and has the options it is shown with."""
    verb, *rest = words
    assert verb in VERBS
    with pytest.raises(SystemExit) as info:
        main([verb, *rest, "--help"])
    assert info.value.code == 0
    shown = capsys.readouterr().out
    assert all(word.partition("=")[0] in shown for word in rest if word.startswith("--"))


def explains(words: list[str]) -> None:
    """Assert that a benchmark exists and has the options it is shown with."""
    done = subprocess.run([sys.executable, words[1], "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(word.partition("=")[0] in done.stdout for word in words if word.startswith("--"))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_shown_command_works(command, tmp_path, capsys):
    words = shell_words(command)
    while re.fullmatch(r"\w+=.*", words[0]):  # variables set for one command
        words.pop(0)
    if words[0] == "cavga-bench":
        words = ["python", "-m", "harness", *words[1:]]
    if words[0] == "make":
        plans([words[0], "-n", *words[1:]], tmp_path)
        targets = [word for word in words[1:] if word.startswith("results/")]
        if targets:
            plans(["snakemake", "--cores", "1", "--", *targets], tmp_path)
    elif words[0] == "snakemake":
        plans(words, tmp_path)
    elif words[0] == "python" and words[1].startswith("benchmarks/"):
        explains(words)
    else:
        assert words[:3] == ["python", "-m", "harness"], f"no test knows how to check: {command}"
        knows(words[3:], capsys)


@pytest.mark.parametrize("words", SPANS)
def test_a_shown_verb_knows_its_words(words, capsys):
    knows(shlex.split(words), capsys)


@pytest.mark.parametrize(("page", "link"), LINKS, ids=lambda value: getattr(value, "name", value))
def test_a_linked_file_exists(page, link):
    assert (page.parent / link).exists()


def test_the_readme_shows_commands():
    assert {"make demo", "make test"} <= set(commands(ROOT / "README.md"))
