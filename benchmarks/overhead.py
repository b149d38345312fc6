"""What the pipeline costs on top of the work: wall time of a build beside the time that fits and exports took.

    python benchmarks/overhead.py [target] [--cores 2]           # default: results/demo/table3_iou.tex

Builds in a temporary folder, then once more with nothing to do. "work" is the sum of the seconds in the markers of fits
and exports, which begin after Python and torch are up; with n cores, work / n is the least that the build can take.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(target: str, folder: str, cores: int) -> float:
    """Return the wall seconds of a build in `folder`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", folder]
    command += [
        "--workflow-profile",
        str(ROOT / "profiles" / "default"),
        "--cores",
        str(cores),
        "--quiet=all",
        "--",
        target,
    ]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{target}: the build failed: {done.stderr.strip().splitlines()[-1]}")
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="?", default="results/demo/table3_iou.tex")
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wall = build(arguments.target, folder, arguments.cores)
        again = build(arguments.target, folder, arguments.cores)
        markers = [*Path(folder).glob("work/fits/*/status.json")]
        work = sum(json.loads(path.read_text()).get("seconds", 0.0) for path in markers)
    print(f"{arguments.target}, {arguments.cores} cores, {len(markers) // 2} fits with their exports")
    print(f"wall of the build            {wall:7.1f} s")
    print(f"fits and exports, summed     {work:7.1f} s")
    print(f"wall / summed                {wall / work:7.2f}")
    print(f"wall · cores / summed        {wall * arguments.cores / work:7.2f}")
    print(f"the same build again         {again:7.1f} s")


if __name__ == "__main__":
    main()
