"""How long Snakemake plans: time, memory and size of the graph. Nothing is fetched, prepared or trained.

    python benchmarks/plan.py [paper] [seeds] [check] [large]

paper   every table of the paper protocol, all data at hand, evidence=fresh, one seed: in a fresh clone, and again
seeds   the same with five seeds
check   the same with one seed, when every file is there and up to date
large   a made-up grid of 50 categories x 30 methods x 1, 2 and 5 seeds, and how time and memory grow with it:
        a growth of 1.0 is linear, of less than 1.0 better

Works on a copy in a temporary folder. CPU seconds are those of Snakemake; they depend less than the wall
on what else the machine does. On two shared cores `large` takes some minutes, the others a minute each.
"""

from __future__ import annotations

import compileall
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from harness.config import load_config, load_datasets  # noqa: E402  (run as a script, from any folder)
from harness.data.sources import raw_folder, stamp_path  # noqa: E402

COPIED = ("harness", "cavga", "baselines", "config", "workflow", "published", "profiles", "tables")
LARGE_CATEGORIES, LARGE_METHODS, SEEDS = 50, 30, [0, 1, 2, 3, 4]
GROWING = (1, 2, 5)


def copy_repository(folder: Path) -> Path:
    """Copy what planning reads, and claim that every dataset's raw files were fetched."""
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder)
    for entry in load_datasets(load_config({"data_root": None})).values():
        for category in [] if entry.embedded else entry.categories:
            stamp = folder / stamp_path(entry, category, raw_folder(entry, Path("work")))
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.write_text('{"folder": ""}')
    weights = folder / "work" / "raw" / "weights" / "downloads" / "resnet18-f37072fd.pth"
    weights.parent.mkdir(parents=True)
    weights.touch()
    compileall.compile_dir(folder, quiet=1)
    return folder


def set_protocol(folder: Path, **over: object) -> None:
    """Change keys of the copied paper protocol."""
    path = folder / "config" / "protocols" / "paper.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | over))


def targets(folder: Path) -> list[str]:
    """Return every table's page."""
    return [
        f"results/{p.stem}.html" for p in sorted((folder / "tables").glob("*.yaml")) if not p.stem.startswith("fig")
    ]


def snakemake(folder: Path, *arguments: str) -> tuple[str, float, float, float]:
    """Run Snakemake in the copy. Returns its output, CPU seconds, wall seconds and peak memory in MiB."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CAVGA")} | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(f"{' '.join(command)}\n{text[-3000:]}")
    return text, usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


def report(name: str, folder: Path, *arguments: str) -> tuple[int, float, float]:
    """Plan everything once and print what it took. Returns jobs, CPU seconds and MiB."""
    text, cpu, wall, memory = snakemake(folder, "-n", "-q", "rules", *arguments, "--", *targets(folder))
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.M)}
    jobs, fits = counts.get("total", 0), counts.get("fit", 0)
    print(f"{name:8} {jobs:6} jobs {fits:6} fits  CPU {cpu:6.1f} s  wall {wall:6.1f} s  {memory:6.0f} MiB", flush=True)
    return jobs, cpu, memory


def fresh_paper(folder: Path) -> None:
    copy_repository(folder)
    for name in ("clone", "paper"):
        report(name, folder, "--config", "evidence=fresh", "device=cuda")


def five_seeds(folder: Path) -> None:
    set_protocol(copy_repository(folder), seeds=SEEDS)
    report("seeds", folder, "--config", "evidence=fresh", "device=cuda")


def up_to_date(folder: Path) -> None:
    """Let every file exist with Snakemake's own notes on it, then ask what there is to do."""
    copy_repository(folder)
    listing, *_ = snakemake(folder, "--summary", "--config", "evidence=fresh", "device=cuda", "--", *targets(folder))
    for line in listing.splitlines():
        path = folder / line.partition("\t")[0]
        if line.startswith(("work/", "results/")) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"digest": "d"}' if path.name == "manifest.json" else "{}")
    snakemake(
        folder,
        "--touch",
        "--forceall",
        "-q",
        "all",
        "--config",
        "evidence=fresh",
        "device=cuda",
        "--",
        *targets(folder),
    )
    report("check", folder, "--config", "evidence=fresh", "device=cuda")


def large(folder: Path) -> None:
    """Plan a grid that was generated: one dataset, one table, every method the same module with another option."""
    copy_repository(folder)
    config = folder / "config"
    datasets = yaml.safe_load((config / "datasets.yaml").read_text())
    model = next(entry for entry in datasets.values() if entry["access"] == "embedded")
    kind = next(iter(model["categories"].values()))
    datasets["large"] = model | {
        "categories": {f"c{n:02}": kind | {"title": f"Category {n}"} for n in range(LARGE_CATEGORIES)}
    }
    (config / "datasets.yaml").write_text(yaml.safe_dump(datasets, sort_keys=False))
    methods = yaml.safe_load((config / "methods.yaml").read_text())
    method = {key: value for key, value in methods["ae_l2"].items() if key != "applies_to"}
    names = [f"method{n:02}" for n in range(LARGE_METHODS)]
    made = {name: method | {"options": method.get("options", {}) | {"made_up": n}} for n, name in enumerate(names)}
    (config / "methods.yaml").write_text(yaml.safe_dump(methods | made, sort_keys=False))
    protocol = yaml.safe_load((config / "protocols" / "paper.yaml").read_text())
    prepared = protocol.datasets | {"large": {"size": 64, "channels": 3}}
    set_protocol(folder, datasets=prepared)
    table = yaml.safe_load((folder / "tables" / "table3_iou.yaml").read_text())
    kept = {key: table[key] for key in ("kind", "paper", "measure", "decimals", "corner", "aggregates")}
    kept |= {"id": "large", "label": "Large", "title": "made up", "caption": "Made up.", "dataset": "large"}
    shutil.rmtree(folder / "tables")
    (folder / "tables").mkdir()
    columns = [{"method": name} for name in names]
    (folder / "tables" / "large.yaml").write_text(yaml.safe_dump(kept | {"published": "large.csv", "columns": columns}))
    with (folder / "published" / "large.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["category", *names], *([f"c{n:02}", *[""] * 30] for n in range(LARGE_CATEGORIES))])
    sizes = []
    for seeds in GROWING:
        set_protocol(folder, seeds=SEEDS[:seeds])
        sizes.append(report(f"large {seeds}", folder, "--config", "evidence=fresh", "device=cuda"))
    (jobs, cpu, memory), last = sizes[0], sizes[-1]
    more = last[0] / jobs
    print(f"growth   {more:.2f} x jobs: CPU {last[1] / cpu / more:.2f}, memory {last[2] / memory / more:.2f} x linear")


CASES = {"paper": fresh_paper, "seeds": five_seeds, "check": up_to_date, "large": large}


def main() -> None:
    """Run the named cases, all of them by default."""
    for name in sys.argv[1:] or CASES:
        with tempfile.TemporaryDirectory() as folder:
            CASES[name](Path(folder) / "copy")


if __name__ == "__main__":
    main()
