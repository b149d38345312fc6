"""Profiles, image and docs/cluster.md, as far as they can be checked without a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
from snakemake.cli import get_argument_parser
from snakemake.profiles import ProfileConfigFileParser

from harness.paths import ROOT

PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/profile.yaml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "cluster.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines() if line]
SNAKEFILES = [ROOT / "Snakefile", *(ROOT / "workflow" / "rules").glob("*.smk")]
RULES = set(re.findall(r"^rule (\w+):", "".join(path.read_text() for path in SNAKEFILES), re.M))
INSTRUCTIONS = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD", "ENV", "ARG", "LABEL"}


def read(profile: str) -> dict[str, object]:
    with (ROOT / "profiles" / profile / "profile.yaml").open() as file:
        return dict(ProfileConfigFileParser().parse(file))


def shared(profile: str) -> dict[str, object]:
    names = ("keep-going", "rerun-incomplete", "show-failed-logs", "printshellcmds", "scheduler")
    return {name: read(profile)[name] for name in (*names, "max-checksum-file-size")}


def test_there_is_a_profile_for_each_place():
    assert PROFILES == ["default", "slurm"]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_key_of_a_profile_is_an_option_of_snakemake_or_of_an_installed_plugin(profile):
    known = {option for action in get_argument_parser()._actions for option in action.option_strings}
    assert {f"--{key}" for key in read(profile)} <= known


@pytest.mark.parametrize("profile", PROFILES)
def test_profiles_agree_on_what_does_not_depend_on_the_place(profile):
    assert shared(profile) == shared("default")


def test_the_slurm_profile_names_rules_that_run_there():
    settings = read("slurm")
    named = {entry.split(":")[0] for entry in settings["set-resources"]}
    local = set(re.search(r"localrules:\n((?: +\w+,\n)+)", (ROOT / "workflow/rules/common.smk").read_text())[1].split())
    assert named <= RULES - {name.rstrip(",") for name in local}
    assert {name.rstrip(",") for name in local} == RULES - {"prepare", "fit"}


def dry_run(words: list[str], folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    words = [words[0], "-n", "--directory", str(folder), *words[1:]]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_page_shows_every_profile():
    shown = set(re.findall(r"--workflow-profile profiles/(\w+)", "\n".join(COMMANDS)))
    assert shown == set(PROFILES) - {"default"}


def test_memory_and_time_are_asked_for_and_gpus_only_where_a_protocol_needs_them(tmp_path):
    words = ["snakemake", "--workflow-profile", "profiles/slurm", "results/demo/main_table5_lag.tex"]
    fit = re.search(r"rule fit:\n(?:    .*\n)+", dry_run(words, tmp_path))[0]
    assert "mem_mb=8000" in fit
    assert "runtime=720" in fit
    assert "gpu=0" in fit
    (tmp_path / "needy.yaml").write_text("id: needy\ntitle: made up\nextends: demo\nneeds_gpu: true\n")
    (tmp_path / "settings.yaml").write_text(f"extra_protocols: ['{tmp_path / 'needy.yaml'}']\npaper_on_cpu: true\n")
    words = [*words[:-1], "--configfile", str(tmp_path / "settings.yaml"), "--", "results/needy/main_table5_lag.tex"]
    assert "gpu=1" in re.search(r"rule fit:\n(?:    .*\n)+", dry_run(words, tmp_path))[0]


# Image


def image() -> str:
    """Return the image that the workflow names."""
    return re.search(r'container: "docker://(.+)"', (ROOT / "workflow/rules/common.smk").read_text())[1]


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE, flags=re.M).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def test_the_dockerfile_is_made_of_known_instructions_and_copies_what_exists():
    assert instructions()[0][0] == "FROM"
    assert {name for name, _ in instructions()} <= INSTRUCTIONS
    copied = [words for name, text in instructions() if name == "COPY" for words in [text.split()]]
    sources = [word for words in copied for word in words[:-1] if not word.startswith("--")]
    assert sources == ["requirements.lock", "."]
    assert all((ROOT / source).exists() for source in sources)


def test_the_image_has_the_python_of_the_conda_environment_and_one_name_everywhere():
    python = re.search(r"FROM python:(\d+\.\d+)", DOCKERFILE)[1]
    assert f"python={python}" in (ROOT / "environment.yml").read_text()
    assert image() in DOCKERFILE
    assert image() in PAGE


def test_every_tracked_file_is_in_the_image_for_else_records_would_be_marked_as_dirty():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for path in [*tracked, ".git/HEAD"]:
        parts = [path, *map(str, PurePosixPath(path).parents)]
        left_out = [p for p in patterns if any(fnmatch(part, p) or fnmatch(f"/{part}", p) for part in parts)]
        assert not left_out, f"{path}: left out by {left_out}"
