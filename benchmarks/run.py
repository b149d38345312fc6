"""Run the whole suite and write benchmarks/RESULTS.md: one section a benchmark, its command and what it printed.

    python benchmarks/run.py                         # everything; what cannot run here is named with the reason
    python benchmarks/run.py measures report         # these sections only; the others of RESULTS.md stay

CAVGA_DATA names the data root (section data); ANOMALIB_PYTHON an interpreter that has anomalib (sections agreement
and engine).
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "RESULTS.md"
ENGINE = os.environ.get("ANOMALIB_PYTHON", "")
SECTIONS = {
    "measures": ("Measures beside scikit-learn and torchmetrics", ["metrics.py"]),
    "agreement": ("AUPRO and AUPIMO beside anomalib's", ["agreement.py", "--anomalib", ENGINE]),
    "training": ("CAVGA's training step beside a plain loop", ["training.py", "--size", "128", "--rounds", "2"]),
    "engine": ("The training loop beside anomalib's engine", ["engine.py", "--anomalib", ENGINE]),
    "data": ("Preparing data beside Pillow and torchvision", ["data.py"]),
    "baselines": ("Fit and predict at 32²", ["baselines.py", "--protocol", "lite", "--sizes", "32", "--seconds", "3"]),
    "plan": ("Planning against the size of the grid", ["plan.py", "paper", "seeds", "check", "large"]),
    "overhead": ("The pipeline on top of the work", ["overhead.py"]),
    "report": ("Tables, figures and the report", ["report.py"]),
}
NEEDS = {"agreement": "ANOMALIB_PYTHON", "engine": "ANOMALIB_PYTHON", "data": "CAVGA_DATA"}


def machine() -> str:
    """Return one line on the machine: processor, cores, library versions."""
    model = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    )
    name = model.group(1).strip() if model else platform.machine()
    load = os.getloadavg()[0]
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}; {today}, load at the start {load:.1f}"


def section(name: str) -> str:
    """Return the text of one section, measured now."""
    title, (script, *words) = SECTIONS[name]
    head = f"## {title}\n\n"
    if name in NEEDS and not os.environ.get(NEEDS[name]):
        return f"{head}Not measured: {NEEDS[name]} is not set.\n"
    on = machine()
    done = subprocess.run([sys.executable, f"benchmarks/{script}", *words], cwd=ROOT, capture_output=True, text=True)
    shown = " ".join(
        ["python", f"benchmarks/{script}", *(f"${NEEDS[name]}" if word == ENGINE else word for word in words)]
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return f"{head}`{shown}` failed: {last}\n"
    return f"{head}{on}\n\n```\n$ {shown}\n{done.stdout.rstrip()}\n```\n"


def written() -> dict[str, str]:
    """Return the sections that RESULTS.md holds, by name."""
    text = RESULTS.read_text() if RESULTS.exists() else ""
    blocks = {
        block.split("\n", 1)[0][3:]: block for block in re.split(r"(?m)^(?=## )", text) if block.startswith("## ")
    }
    return {name: blocks[title] for name, (title, _) in SECTIONS.items() if title in blocks}


def main() -> None:
    names = sys.argv[1:] or list(SECTIONS)
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        sys.exit(f"{unknown[0]}: no such section; known: {', '.join(SECTIONS)}")
    for name in names:
        print(f"{name} …", flush=True)
        blocks = written() | {name: section(name)}
        parts = [blocks[key].rstrip() + "\n" for key in SECTIONS if key in blocks]
        RESULTS.write_text(
            "# Benchmarks\n\nWritten by `make bench`; every section says where and when.\n\n" + "\n".join(parts)
        )


if __name__ == "__main__":
    main()
