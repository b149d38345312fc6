"""One list of versions: the lock. Conda's environment refers to it, and it covers what is asked for directly."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib

import pytest
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from torchvision.ops import nms

from harness.paths import ROOT

_PYTHON = ".".join(map(str, sys.version_info[:2]))


def requirements(file: str) -> list[Requirement]:
    """Return what a file of requirements asks for; the lines of hashes are left out."""
    lines = [re.split(r"\s+#|\s*\\$", line)[0].strip() for line in (ROOT / file).read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "--hash"))]


def locked(name: str, python: str = "3.11", system: str = "linux") -> list[str]:
    """Return the locked versions of a package for a Python on a system."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": system}
    found = [r for r in requirements("requirements.lock") if canonicalize_name(r.name) == name]
    return [str(r.specifier).removeprefix("==") for r in found if r.marker is None or r.marker.evaluate(environment)]


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_pins_everything_that_is_asked_for_once(python, system):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {canonicalize_name(r.name) for r in requirements("requirements.in")}
    needed = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    assert needed <= asked
    assert {name: len(locked(name, python, system)) for name in asked} == dict.fromkeys(asked, 1)


def test_every_locked_version_is_exact_and_has_hashes():
    assert all(str(r.specifier).startswith("==") for r in requirements("requirements.lock"))
    blocks = re.split(r"(?m)^(?=[a-z0-9])", (ROOT / "requirements.lock").read_text())[1:]
    assert len(blocks) == len(requirements("requirements.lock"))
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_what_is_installed_is_what_is_locked():
    versions = {
        r.name: locked(canonicalize_name(r.name), _PYTHON, sys.platform)[0] for r in requirements("requirements.in")
    }
    assert {name: importlib.metadata.version(name).split("+")[0] for name in versions} == versions


def test_conda_installs_the_lock():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock"]


def test_torch_and_torchvision_are_a_pair_that_imports_together():
    wanted = [Requirement(line) for line in importlib.metadata.requires("torchvision") or []]
    torch_wanted = next(requirement for requirement in wanted if requirement.name == "torch")
    assert torch_wanted.specifier.contains(locked("torch")[0])
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0]  # a compiled operator: fails for a mismatched pair
