"""Hashes count what computes a number, and nothing else: real edits in a copy of the repository."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records.code_digest import code_digest, import_closure
from harness.records.fingerprint import NUMERIC_CORE, digest

HASHES = """
import json
from harness.config import load_methods
from harness.records.code_digest import code_digest
from harness.records.fingerprint import EVALUATE, FIT, NUMERIC_CORE
methods = {name: method.detector.partition(":")[0] for name, method in load_methods().items()}
fits = {name: code_digest((module, FIT), NUMERIC_CORE) for name, module in methods.items()}
print(json.dumps({"modules": methods, "fits": fits, "measuring": code_digest((EVALUATE,), ("harness.metrics",))}))
"""
ROOMS_THAT_DO_NOT_COUNT = sorted(
    path.parent.name
    for path in (ROOT / "harness").glob("*/__init__.py")
    if path.parent.name not in {"training", "metrics"}
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("repository")
    for part in ("harness", "cavga", "baselines", "config", "workflow"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def copy(pristine, tmp_path):
    return Path(shutil.copytree(pristine, tmp_path / "copy"))


def hashes(folder: Path) -> dict:
    done = subprocess.run([sys.executable, "-c", HASHES], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def before(pristine):
    return hashes(pristine)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text, f"{path} has changed; give this test another line of it"
    path.write_text(text.replace(old, new, 1))


def rename_a_function(path: Path) -> bool:
    """Rename the first private function of a module wherever the module says its name."""
    text = path.read_text()
    found = re.search(r"^def (_\w+)\(", text, re.M)
    if found:
        path.write_text(re.sub(rf"\b{found[1]}\b", f"{found[1]}_renamed", text))
    return bool(found)


def test_what_computes_nothing_changes_no_hash(copy, before):
    for room in [*ROOMS_THAT_DO_NOT_COUNT, ""]:
        renamed = [rename_a_function(path) for path in sorted((copy / "harness" / room).glob("*.py"))]
        assert any(renamed), f"harness/{room} has no private function"
    for folder in ("harness/training", "harness/metrics", "cavga", "baselines"):
        for path in sorted((copy / folder).glob("*.py")):
            text = path.read_text()
            text = re.sub(r'"""(\w)', r'"""Reworded. \1', text)  # every docstring
            text = re.sub(r"^( *)(return )", r"\1# a comment\n\1\2", text, flags=re.M)
            path.write_text(re.sub(r'(raise \w+Error\(\s*f?")', r"\1Reworded: ", text))
    assert hashes(copy) == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("harness/training/loop.py", "phase.optimizer.step()", "phase.optimizer.step() or None"),
        ("harness/training/seeds.py", ">> 1", ">> 2"),
        ("harness/training/augment.py", "def augment(", "STRENGTH = 2\n\n\ndef augment("),
    ],
)
def test_an_edit_of_the_core_changes_every_fit_and_no_measurement(copy, before, path, old, new):
    edit(copy / path, old, new)
    after = hashes(copy)
    assert after["measuring"] == before["measuring"]
    assert {name for name in before["fits"] if after["fits"][name] == before["fits"][name]} == set()


@pytest.mark.parametrize(
    ("path", "module"), [("cavga/losses.py", "cavga.losses"), ("baselines/lsa.py", "baselines.lsa")]
)
def test_an_edit_of_a_method_changes_its_fits_alone(copy, before, path, module):
    text = (copy / path).read_text()
    (copy / path).write_text(text + "\n\nWEIGHT = 2\n")
    after = hashes(copy)
    changed = {name for name in before["fits"] if after["fits"][name] != before["fits"][name]}
    assert changed == {n for n, m in before["modules"].items() if module in import_closure([m], NUMERIC_CORE)}
    assert 0 < len(changed) < len(before["fits"])
    assert after["measuring"] == before["measuring"]


def test_an_edit_of_a_measure_changes_every_measurement_and_no_fit(copy, before):
    with (copy / "harness/metrics/iou.py").open("a") as file:
        file.write("\n\nEPSILON = 0\n")
    after = hashes(copy)
    assert after["fits"] == before["fits"]
    assert after["measuring"] != before["measuring"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("MODE = 'a'\n", "MODE = 'b'\n"),
        (
            "def f(x):\n    if x:\n        x = 1\n    return x\n",
            "def f(x):\n    if x:\n        x = 1\n        return x\n",
        ),
        ("def f(x):\n    raise ValueError(x)\n", "def f(x):\n    raise KeyError(x)\n"),
    ],
    ids=["a string that computes", "an indentation", "the kind of an error"],
)
def test_what_changes_meaning_counts(monkeypatch, tmp_path, one, two):
    found = []
    for number, text in enumerate((one, two)):
        module = tmp_path / str(number) / "baselines" / "made.py"
        module.parent.mkdir(parents=True)
        module.write_text(text)
        found.append(fresh_digest(monkeypatch, tmp_path / str(number)))
    assert found[0] != found[1]


def fresh_digest(monkeypatch, root: Path) -> str:
    from harness.records import code_digest as module

    monkeypatch.setattr("harness.paths.ROOT", root)
    monkeypatch.setattr(module, "MEMORY", root / "digests.json")
    for function in (module.code_digest, module._tree, module._imports, module._module_digest, module._remembered):
        function.cache_clear()
    module.sources_digest.cache_clear()
    return module.code_digest(("baselines.made",))


@pytest.fixture(autouse=True)
def _no_memory_of_other_roots(monkeypatch):
    yield
    from harness.records import code_digest as module

    monkeypatch.undo()
    for function in (module.code_digest, module._tree, module._imports, module._module_digest, module._remembered):
        function.cache_clear()
    module.sources_digest.cache_clear()


def test_digests_are_remembered_until_a_source_or_the_memory_is_altered(monkeypatch, tmp_path):
    module = tmp_path / "baselines" / "made.py"
    module.parent.mkdir()
    module.write_text("X = 1\n")
    first = fresh_digest(monkeypatch, tmp_path)
    memory = tmp_path / "digests.json"
    forged = memory.read_text().replace(first, "0" * 64)
    memory.write_text(forged)
    assert fresh_digest(monkeypatch, tmp_path) == first
    module.write_text("X = 2\n")
    assert fresh_digest(monkeypatch, tmp_path) != first


def test_a_module_that_is_not_there_or_does_not_parse_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "baselines").mkdir()
    with pytest.raises(ConfigError, match=r"module 'baselines\.made': no such file"):
        fresh_digest(monkeypatch, tmp_path)
    (tmp_path / "baselines" / "made.py").write_text("x = (\n")
    with pytest.raises(ConfigError, match=r"baselines/made\.py:1: .*correct this line"):
        fresh_digest(monkeypatch, tmp_path)


def test_digest_ignores_the_order_of_keys_only():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert code_digest(("harness.metrics.iou",)) != code_digest(("harness.metrics.image",))
