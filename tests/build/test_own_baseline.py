"""docs/add_a_baseline.md, word for word: what it adds to the repository runs, passes the contract suite, is printed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.paths import ROOT
from harness.tables.render import read_numbers

PAGE = (ROOT / "docs" / "add_a_baseline.md").read_text()
CELL = ["--protocol", "few", "--dataset", "mvtec_ad", "--category", "brick", "--method", "denoiser"]
FEW = "id: few\ntitle: demo protocol, few images\nextends: demo\nlimits: {images_seen: 32}\nmethods: {}\n"


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the repository with what the page adds."""
    folder = tmp_path_factory.mktemp("own") / "copy"
    for name in ("harness", "cavga", "baselines", "config", "workflow", "published", "tables", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    module, entry, budget, column = (re.search(pattern, PAGE, re.S).group(1) for pattern in (
        r"```python\n(.*?)```", r"```yaml\n(denoiser:.*?)```", r"```yaml\n(  denoiser: .*?)```",
        r"`(- \{method: denoiser\})`"))  # fmt: skip
    (folder / "baselines" / "denoiser.py").write_text(module)
    second = re.findall(r"```python\n(.*?)```", PAGE, re.S)[1]
    (folder / "baselines" / "gaussians.py").write_text(second)
    with (folder / "config" / "methods.yaml").open("a") as file:
        file.write("\n" + entry + "\n" + re.search(r"```yaml\n(gaussians:.*?)```", PAGE, re.S).group(1))
    (folder / "few.yaml").write_text(FEW)
    shutil.copy(ROOT / "pyproject.toml", folder)
    demo = folder / "config" / "protocols" / "demo.yaml"
    demo.write_text(re.sub(r"^methods:\n", lambda found: found[0] + budget, demo.read_text(), flags=re.M))
    table = folder / "tables" / "table3_iou.yaml"
    table.write_text(table.read_text().replace("columns:\n", f"columns:\n  {column}\n", 1))
    return folder


def benchmark(folder: Path, *words: str) -> None:
    config = json.dumps({"extra_protocols": ["few.yaml"]})
    environment = {**os.environ, "CAVGA_CONFIG": config, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "harness", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_example_is_fitted_measured_and_printed(copy):
    benchmark(copy, "prepare", *CELL[:6], "--size", "64")
    for verb in ("fit", "evaluate"):
        benchmark(copy, verb, *CELL)
    record = json.loads((copy / "work/records/few/demo_textures/brick/denoiser/seed0.json").read_text())
    assert record["status"] == "measured", record["reason"]
    benchmark(copy, "aggregate", "table3_iou", "--protocol", "few")
    benchmark(copy, "render", "results/few/table3_iou.json")
    table = read_numbers(copy / "results/few/table3_iou.json")
    assert next(cell for row, _, cell in table.by_row() if row.id == "brick").state == "measured"
    assert "Denoiser" in (copy / "results/few/table3_iou.tex").read_text()


@pytest.mark.parametrize("method", ["denoiser", "gaussians"])
def test_the_examples_pass_the_contract_suite(copy, method):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract", "-k"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}

    def ran(*words: str) -> str:
        done = subprocess.run([*command, *words], cwd=copy, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        return done.stdout

    built_in = ran("patchcore", "--collect-only").count("[patchcore]")
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped)", ran(method))}
    assert sum(found.values()) == built_in, "as many tests as a method of the repository has"
    assert found["passed"] >= 7
