"""docs/own_data.md and docs/data.md, followed word by word: entries load, commands run or plan, links exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.cli.main import main
from harness.config import load_config, load_datasets, load_protocol, read_yaml, schema
from harness.paths import ROOT
from tests import painters

OWN, DATA = ((ROOT / "docs" / name).read_text() for name in ("own_data.md", "data.md"))
YAML = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", OWN, re.S)]
LINES = [
    (page, line.split("#")[0].strip())
    for page, text in (("own_data", OWN), ("data", DATA))
    for block in re.findall(r"```sh\n(.*?)```", text, re.S)
    for line in block.splitlines()
]
COMMANDS = [(page, line) for page, line in LINES if line and not line.startswith("export ")]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with painted files where the pages put them, and the configuration that own_data.md shows."""
    painters.archive(painters.mvtec(tmp_path / "paint", "hazelnut_toy"), tmp_path / "hazelnut_toy/hazelnut_toy.tar.gz")
    painters.idx(tmp_path / "mnist")
    config = YAML[2] | {"data_root": str(tmp_path)}
    config |= {key: [str(ROOT / path) for path in config[key]] for key in ("extra_datasets", "extra_protocols")}
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps(config))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_the_entries_shown_are_those_of_the_examples() -> None:
    entry, protocol, config = YAML
    example = read_yaml(ROOT / config["extra_datasets"][0])["hazelnut_toy"]
    assert entry["hazelnut_toy"].items() <= example.items()
    assert protocol == read_yaml(ROOT / config["extra_protocols"][0])
    paths = {key: [str(ROOT / path) for path in config[key]] for key in ("extra_datasets", "extra_protocols")}
    own = load_config(paths)
    assert "hazelnut_toy" in load_datasets(own)
    assert load_protocol("hazelnut", own).stand_ins == {"mvtec_ad": "hazelnut_toy"}


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_a_shown_command_works(page: str, command: str, place: Path) -> None:
    words = shlex.split(command)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    if words[0] in ("make", "snakemake"):
        config = json.loads(os.environ["CAVGA_CONFIG"])  # the Snakefile reads its own: a user would edit config.yaml
        settings = [f"{key}={json.dumps(value)}" for key, value in config.items()]
        words = ["snakemake", words[-1], "-n", "--cores", "1", "--directory", str(place), "--config", *settings]
    elif words[1].endswith(".py"):
        words = [sys.executable, str(ROOT / words[1]), "--help"]
    else:
        _do_what_goes_before(words)
        environment["PYTHONPATH"] = str(ROOT)
    home = ROOT if words[0] == "snakemake" else place
    done = subprocess.run(words, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _do_what_goes_before(words: list[str]) -> None:
    """Fetch before `prepare`, prepare before `fit`, as the lines above a shown one do."""
    if "prepare" in words or "fit" in words:
        source = "hazelnut_toy" if "hazelnut" in words else words[words.index("--dataset") + 1]
        assert main(["fetch", source]) == 0
    if "fit" in words:
        assert main(["prepare", *words[words.index("fit") + 1 : words.index("--method")]]) == 0


def test_every_key_of_an_entry_is_explained() -> None:
    rows = re.findall(r"^\| (`.*?) \|", OWN.split("## Keys of an entry")[1], re.M)
    explained = {name.split(":")[0] for row in rows for name in re.findall(r"`([^`]+)`", row)}
    internal = {"files", "raw", "painter", "train_share", "attention_threshold", "home", "ask"}
    known: dict[str, Any] = schema("datasets")["$defs"]["dataset"]["properties"]
    assert explained == set(known) - internal


@pytest.mark.parametrize("text", [OWN, DATA], ids=["own_data", "data"])
def test_a_linked_file_exists(text: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert links
    assert all((ROOT / "docs" / link).exists() for link in links)


def test_the_licences_are_those_of_the_entries() -> None:
    datasets = load_datasets(load_config({"data_root": None}))
    table = dict(re.findall(r"^\| ([^|]+) \| (?:open|form|password) \| ([^|]+) \|", DATA, re.M))
    names = ("mvtec_ad", "mstc", "lag", "mnist", "fashion_mnist", "cifar10", "mvtec_ad_2", "visa")
    for shown, name in zip(table.values(), names, strict=True):
        licence = datasets[name].licence.name
        assert shown.split(",")[0].removesuffix(" use") in licence, name
