"""One list of versions: the lock. Conda's environment refers to it, and it covers what is asked for directly."""

from __future__ import annotations

import importlib.metadata
import re

import yaml

from benchmark.config import ROOT


def names(file: str) -> dict[str, str]:
    lines = [line.split("#")[0].strip() for line in (ROOT / file).read_text().splitlines()]
    found = [re.match(r"([A-Za-z0-9._-]+)(.*)", line) for line in lines if line]
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def test_the_lock_pins_everything_that_is_asked_for():
    locked = names("requirements.lock")
    assert set(names("requirements.in")) <= set(locked)
    assert all(version.startswith("==") for version in locked.values())


def test_conda_installs_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock"]


def test_torch_and_torchvision_are_the_pair_that_the_lock_names():
    locked = names("requirements.lock")
    for name in ("torch", "torchvision"):
        assert importlib.metadata.version(name).split("+")[0] == locked[name].removeprefix("==")
    requires = importlib.metadata.requires("torchvision") or []
    wanted = next(line for line in requires if re.match(r"torch\b", line))
    assert locked["torch"].removeprefix("==") in wanted
