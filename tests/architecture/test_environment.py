"""One list of versions: the lock. Conda's environment refers to it, and it covers what is asked for directly."""

from __future__ import annotations

import importlib.metadata
import re

import torch
import yaml
from packaging.requirements import Requirement
from torchvision.ops import nms

from harness.paths import ROOT


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


def test_torch_and_torchvision_are_a_pair_that_imports_together():
    locked = names("requirements.lock")
    for name in ("torch", "torchvision"):
        assert importlib.metadata.version(name).split("+")[0] == locked[name].removeprefix("==")
    wanted = [Requirement(line) for line in importlib.metadata.requires("torchvision") or []]
    torch_wanted = next(requirement for requirement in wanted if requirement.name == "torch")
    assert torch_wanted.specifier.contains(locked["torch"].removeprefix("=="))
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0]  # a compiled operator: fails for a mismatched pair
