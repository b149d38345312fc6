"""Profiles, manifest, image and docs/cluster.md, as far as they can be checked without a cluster."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
import yaml
from kubernetes import client
from snakemake.cli import get_argument_parser
from snakemake.profiles import ProfileConfigFileParser

from harness.paths import ROOT

PROFILES = sorted(path.parent.name for path in (ROOT / "profiles").glob("*/profile.yaml"))
MANIFEST = list(yaml.safe_load_all((ROOT / "profiles" / "kubernetes" / "job.yaml").read_text()))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "cluster.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines() if line]
RULES = set(
    re.findall(r"^rule (\w+):", "".join(p.read_text() for p in (ROOT / "workflow" / "rules").glob("*.smk")), re.M)
)
INSTRUCTIONS = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD", "ENV", "ARG", "LABEL"}


def read(profile: str) -> dict[str, object]:
    with (ROOT / "profiles" / profile / "profile.yaml").open() as file:
        return dict(ProfileConfigFileParser().parse(file))


def shared(profile: str) -> dict[str, object]:
    names = ("keep-going", "rerun-incomplete", "show-failed-logs", "printshellcmds", "scheduler")
    return {name: read(profile)[name] for name in (*names, "max-checksum-file-size")}


def test_there_is_a_profile_for_each_place():
    assert PROFILES == ["default", "kubernetes", "slurm"]


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
    assert {name.rstrip(",") for name in local} == RULES - {"prepare", "fit", "export"}


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
    (tmp_path / "settings.yaml").write_text(f"extra_protocols: ['{tmp_path / 'needy.yaml'}']\n")
    words = [*words[:-1], "--configfile", str(tmp_path / "settings.yaml"), "--", "results/needy/main_table5_lag.tex"]
    assert "gpu=1" in re.search(r"rule fit:\n(?:    .*\n)+", dry_run(words, tmp_path))[0]


# Kubernetes


@pytest.mark.parametrize("content", MANIFEST, ids=lambda content: content["kind"])
def test_the_client_knows_every_field_of_the_manifest(content):
    api = client.ApiClient()
    kind = getattr(client, f"V1{content['kind']}")
    assert api.sanitize_for_serialization(build(content, kind)) == content


def build(content, kind):
    """Make the client's model of a manifest; a field that it does not know is an error of its constructor."""
    if isinstance(kind, str):
        inner = re.fullmatch(r"(?:list|dict)[\[(](?:str, )?(.+)[\])]", kind)
        if inner:
            kinds = inner[1]
            return (
                [build(item, kinds) for item in content]
                if isinstance(content, list)
                else {key: build(value, kinds) for key, value in content.items()}
            )
        if not hasattr(client, kind):
            return content
        kind = getattr(client, kind)
    names = {json_name: name for name, json_name in kind.attribute_map.items()}
    unknown = set(content) - set(names)
    assert not unknown, f"{kind.__name__} has no {unknown}"
    return kind(**{names[key]: build(value, kind.openapi_types[names[key]]) for key, value in content.items()})


def test_the_model_of_a_manifest_refuses_a_field_that_does_not_exist():
    with pytest.raises(AssertionError, match="backofLimit"):
        build({"kind": "Job", "spec": {"backofLimit": 6}}, client.V1Job)


def test_the_pod_runs_the_image_with_the_profile_on_its_own_volumes():
    claim, job = MANIFEST
    pod = job["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["image"] == image()
    assert container["args"][:2] == ["--workflow-profile", "profiles/kubernetes"]
    volumes = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]}
    assert volumes["build"] == claim["metadata"]["name"]
    home = PurePosixPath(re.search(r"^WORKDIR (.+)$", DOCKERFILE, re.M)[1])
    places = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    for folder in ("work", "results", ".snakemake"):
        assert places[str(home / folder)] == claim["metadata"]["name"], f"{folder} outlives the pod"
    assert job["spec"]["parallelism"] == 1, "a ReadWriteOnce volume has one pod"


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
