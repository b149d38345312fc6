"""A copy of the repository whose verbs are replaced by ones that only write what the workflow looks at."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.paths import ROOT

# Writes each stage's declared outputs in milliseconds; records carry the fingerprint that the real plan implies.
VERBS = '''"""Stand-in verbs: plan for real, compute nothing."""
import json, sys
from pathlib import Path
from harness.records.plan import Plan
from harness.workflow.recipe import RECIPE, Recipes

def value(name, default=None):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default

verb = sys.argv[1]
if verb in {"prepare", "fit", "evaluate"}:
    plan = Plan.load(value("--protocol"))
    method = value("--method") or next(iter(plan.methods))
    cell = plan.cell(value("--dataset"), value("--category"), method, int(value("--seed", 0)))
def write(path, content):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
if verb == "prepare":
    size = int(value("--size"))
    write(plan.data_folder(cell, size) / "manifest.json", {"digest": "d" + cell.category})
    (plan.data_folder(cell, size) / RECIPE).write_text(Recipes(plan.config).of(plan, cell, size))
elif verb == "fit":
    write(plan.maps(cell), 0)
    digest = json.loads((plan.data_folder(cell) / "manifest.json").read_text())["digest"]
    write(plan.status_file(cell), {"status": "measured", "data_digest": digest})
elif verb == "evaluate":
    sys.path.insert(0, TESTS)
    from tests.records import record_of, write as write_record
    write_record(record_of(plan, cell), plan.work / "records")
elif verb in {"aggregate", "render"}:
    write(value("--output"), sys.argv)
'''

TABLE = {
    "id": "mini", "kind": "grid", "label": "Mini", "paper": "supplementary", "title": "t", "caption": "A caption.",
    "dataset": "mvtec_ad", "measure": "iou", "decimals": 2, "published": "table3_iou.csv", "corner": "Category",
    "columns": [{"method": "ae_l2"}, {"method": "cavga_d_u"}, {"method": "cavga_r_u"}],
    "aggregates": [{"id": "mean", "title": "mean"}],
}  # fmt: skip


class Copy:
    """The copied repository and what Snakemake would do in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def snakemake(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @staticmethod
    def environment() -> dict[str, str]:
        return {k: v for k, v in os.environ.items() if not k.startswith("CAVGA")} | {"PYTHONDONTWRITEBYTECODE": "1"}

    def verb(self, *arguments: str) -> str:
        """Run a verb as it really is, and return what it says."""
        command = [sys.executable, "-c", "import sys; from harness.cli.main import main; sys.exit(main(sys.argv[1:]))"]
        done = subprocess.run(
            [*command, *arguments], cwd=self.folder, env=self.environment(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def build(self, *arguments: str) -> None:
        self.snakemake("results/demo/mini.tex", *arguments)

    def plan(self, target: str = "results/demo/mini.tex", *arguments: str) -> dict[str, int]:
        """Return the jobs that a build would run: rule to count."""
        text = self.snakemake("-n", target, *arguments)
        counts = dict(re.findall(r"^(\w+) +(\d+)$", text, re.M))
        return {rule: int(count) for rule, count in counts.items() if rule != "total"}

    def planned_cells(self, rule: str) -> set[str]:
        """Return the methods or keys whose `rule` would run, read from the commands."""
        text = self.snakemake("-n", "-p", "results/demo/mini.tex")
        return set(re.findall(rf"python -m harness {rule} .*--method (\w+)", text))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name} has no '{old}'"
        path.write_text(text.replace(old, new, 1))

    def append(self, name: str, text: str) -> None:
        with (self.folder / name).open("a") as file:
            file.write(text)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """A copy in which the table `mini` was built once."""
    folder = tmp_path_factory.mktemp("dag") / "built"
    copy_repository(folder)
    Copy(folder).build()
    return folder


@pytest.fixture
def copy(built, tmp_path) -> Copy:
    """A fresh copy of the built repository, dates included."""
    shutil.copytree(built, tmp_path / "copy", symlinks=True)
    return Copy(tmp_path / "copy")


def copy_repository(folder: Path) -> None:
    """Copy what planning reads, and put the stand-in verbs and the small table in their places."""
    for name in ("harness", "cavga", "baselines", "config", "workflow", "published", "profiles"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    (folder / "tables").mkdir()
    (folder / "tables" / "mini.yaml").write_text(yaml.safe_dump(TABLE))
    (folder / "harness" / "__main__.py").write_text(f"TESTS = {str(ROOT)!r}\n{VERBS}")
