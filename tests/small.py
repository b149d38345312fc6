"""A copy of the repository with two painted categories and a few tiny methods: real builds in half a minute."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from harness.paths import ROOT
from harness.records.reading import read_record
from tests import painters
from tests.entries import MVTEC

TARGETS = tuple(f"results/tiny/mini.{form}" for form in ("json", "csv", "tex", "html"))
PROTOCOL: dict[str, Any] = {
    "id": "tiny", "title": "tiny protocol", "extends": "demo", "stand_ins": {"mvtec_ad": "parts"},
    "datasets": {"mvtec_ad": {"size": 32, "channels": 3}}, "limits": {"images_seen": 160, "batch_size": 8},
    "measures": {"bootstrap": 5},
}  # fmt: skip
TABLE: dict[str, Any] = {
    "id": "mini", "kind": "grid", "label": "Mini", "paper": "supplementary", "title": "t", "caption": "A caption.",
    "dataset": "mvtec_ad", "measure": "iou", "decimals": 2, "published": "table3_iou.csv", "corner": "Category",
    "aggregates": [{"id": "mean", "title": "mean"}],
}  # fmt: skip


class Small:
    """The copy, and what is built in it. `work/`, `results/` and `.snakemake/` lie in `place`."""

    def __init__(self, folder: Path, methods: tuple[str, ...], place: Path | None = None) -> None:
        self.code, self.place = folder / "code", place or folder / "place"
        for name in ("harness", "cavga", "baselines", "config", "workflow", "published", "profiles"):
            shutil.copytree(ROOT / name, self.code / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("Snakefile", "Makefile"):
            shutil.copy(ROOT / name, self.code)
        self.place.mkdir(parents=True, exist_ok=True)
        for number, category in enumerate(MVTEC["categories"]):
            painters.mvtec(folder / "data" / "parts", category, train=12 + number)
        entry = {key: value for key, value in MVTEC.items() if key != "id"}
        self.write("config/parts.yaml", {"parts": entry})
        self.write("config/protocols/tiny.yaml", PROTOCOL)
        self.write("tables/mini.yaml", TABLE | {"columns": [{"method": method} for method in methods]})
        self.data, self.settings = folder / "data", {"checkpoint_seconds": 0.2}
        self._keys: dict[str, str] = {}

    def add_troubled(self, kinds: tuple[str, ...], pause: float = 0.0) -> None:
        """Add a method per kind of trouble; all but "none" are meant for the first category only."""
        shutil.copy(Path(__file__).with_name("trouble.py"), self.code / "baselines")
        methods = yaml.safe_load((self.code / "config/methods.yaml").read_text())
        for kind in kinds:
            methods[kind] = {
                "title": kind, "latex": kind, "detector": "baselines.trouble:Troubled", "gives": ["maps", "scores"],
                "options": {"kind": kind, "pause": pause}, "source": "tests",
                "training": {"images_seen": 160, "augmentation": {"flip": "none"}},
            } | ({} if kind == "none" else {"applies_to": {"parts": ["bottle"]}})  # fmt: skip
        self.write("config/methods.yaml", methods)

    def write(self, name: str, content: Any) -> None:
        """Write a YAML file of the copy."""
        (self.code / name).parent.mkdir(parents=True, exist_ok=True)
        (self.code / name).write_text(yaml.safe_dump(content, sort_keys=False))

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a piece of a file of the copy."""
        text = (self.code / name).read_text()
        assert old in text, f"{name} has no '{old}'"
        (self.code / name).write_text(text.replace(old, new, 1))

    def command(self, *arguments: str, cores: int = 1) -> list[str]:
        """Return the build's command line."""
        settings = [f"{key}={value}" for key, value in self.settings.items()]
        config = [f"extra_datasets=['{self.code / 'config/parts.yaml'}']", f"data_root={self.data}", *settings]
        start = [sys.executable, "-m", "snakemake", "--snakefile", str(self.code / "Snakefile")]
        return [*start, "--directory", str(self.place), "--cores", str(cores), "--config", *config, *arguments]

    def made(self, cores: int = 1) -> list[str]:
        """Return the command line of make, which builds one at a time and clears up after a kill."""
        tool = f"SNAKEMAKE={shlex.join(self.command(cores=cores))}"
        return ["make", "--file", str(self.code / "Makefile"), "INSTALLED=", tool, TARGETS[-1]]

    def start(self, *arguments: str, cores: int = 1, make: bool = False) -> subprocess.Popen[str]:
        """Start a build in a session of its own; with `make` of the page of the table."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CAVGA")} | {"PYTHONUNBUFFERED": "1"}
        command = self.made(cores) if make else self.command(*(arguments or ("--", *TARGETS)), cores=cores)
        return subprocess.Popen(
            command, env=environment, text=True, start_new_session=True, cwd=self.place,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def build(self, *arguments: str, cores: int = 1, make: bool = False) -> tuple[int, str]:
        """Build and return exit code and output."""
        process = self.start(*arguments, cores=cores, make=make)
        output = process.communicate()[0]
        return process.returncode, output

    def records(self) -> dict[str, Path]:
        """Return the fresh records by category/method."""
        return {f"{p.parts[-3]}/{p.parts[-2]}": p for p in (self.place / "work/records").rglob("seed*.json")}

    def key(self, cell: str) -> str:
        """Return the fit key of a category/method whose record is there; it stays known when the record is gone."""
        if cell not in self._keys:
            self._keys[cell] = read_record(self.records()[cell]).fit_key
        return self._keys[cell]

    def failures(self) -> dict[str, str]:
        """Return what has failed so far, by name."""
        return {path.name: path.read_text() for path in self.place.glob("work/failures/*")}

    def plan(self, *arguments: str) -> dict[str, int]:
        """Return the jobs that a build would run: rule to count."""
        counts = dict(re.findall(r"^(\w+) +(\d+)$", self.build(*arguments, "-n", "--", *TARGETS)[1], re.M))
        return {rule: int(count) for rule, count in counts.items() if rule != "total"}


def descendants(process: int) -> list[int]:
    """Return the ids of the processes below one, the nearest first."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(") ")[2].split()[1])
            except (OSError, IndexError):
                continue
            parents.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [process]
    while todo:
        children = parents.get(todo.pop(0), [])
        found += children
        todo += children
    return found


def snakemake(build: int) -> int:
    """Return the process of Snakemake behind a build that make started."""
    return next((process for process in descendants(build) if "snakemake" in words(process)), build)


def words(process: int) -> str:
    """Return a process's command line; empty when it is gone."""
    try:
        return (Path("/proc", str(process), "cmdline")).read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended and is not yet collected does not."""
    try:
        return Path("/proc", str(process), "stat").read_text().rpartition(") ")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def wait_for(condition: Any, what: str, seconds: float = 300.0) -> Any:
    """Wait until `condition()` is true and return it; a hang is a failure."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


def kill(process: int, number: int = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone already is as good as killed."""
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return
