"""Does CAVGA-R_u mark defects better than before its training, and better than without L_ae?

    python benchmarks/attention.py                   # measures what is missing, then prints the table
    python benchmarks/attention.py --only-print

Embedded textures, four categories, three seeds, through the pipeline itself: the protocols are
config/examples/demo_{untrained,seeds,longer}.yaml, the records lie in work/records/. IoU is pooled over a category's
test pixels, at the threshold 0.5. Each category's number is the mean over three seeds; the mean over categories stands
with its standard deviation over the seeds. With one seed, CAVGA-R_u and c3 start from the same weights and see the same
batches; "ahead" counts the fits, of 12, in which CAVGA-R_u's value is above that line's.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

ROOT = Path(__file__).resolve().parents[1]
OURS, WITHOUT_L_AE, DATASET = "cavga_r_u", "ablation_r_u_conv", "demo_textures"
CATEGORIES, SEEDS = ("brick", "grass", "gravel", "nut"), (0, 1, 2)
MEASURES = {"iou": "IoU at 0.5", "pixel_auroc": "pixel AuROC"}
LINES = {
    "untrained": ("demo_untrained", OURS),
    "CAVGA-R_u, demo": ("demo_seeds", OURS),
    "without L_ae, demo": ("demo_seeds", WITHOUT_L_AE),
    "CAVGA-R_u, 1,600 images": ("demo_longer", OURS),
    "without L_ae, 1,600 images": ("demo_longer", WITHOUT_L_AE),
}
Line = dict[tuple[str, int], dict[str, float]]


def record(protocol: str, method: str, category: str, seed: int, dataset: str = DATASET) -> Path:
    return Path("work", "records", protocol, dataset, category, method, f"seed{seed}.json")


def run(cores: int) -> None:
    """Let the pipeline measure every record."""
    protocols = sorted({protocol for protocol, _ in LINES.values()})
    files = ",".join(f'"config/examples/{name}.yaml"' for name in protocols)
    targets = [
        str(record(*line, category, seed)) for line in LINES.values() for category in CATEGORIES for seed in SEEDS
    ]
    command = ["snakemake", "--cores", str(cores), "--config", f"extra_protocols=[{files}]", "--", *targets]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


def values(
    protocol: str,
    method: str,
    dataset: str = DATASET,
    categories: tuple[str, ...] = CATEGORIES,
    measures: Iterable[str] = MEASURES,
) -> Line:
    """Return the measures of one line's fits, by category and seed."""
    line: Line = {}
    for category in categories:
        for seed in SEEDS:
            path = record(protocol, method, category, seed, dataset)
            content = json.loads((ROOT / path).read_text())
            if content["status"] != "measured":
                raise SystemExit(f"{path}: {content['reason']}")
            found = {m["name"]: m["value"] for m in content["measures"] if m["policy"] in (None, "fixed:0.5")}
            line[category, seed] = {name: found[name] for name in measures}
    return line


def ahead(ours: Line, other: Line, measure: str) -> str:
    return f"{sum(ours[cell][measure] > other[cell][measure] for cell in ours)}/{len(ours)}"


def row(line: Line, measure: str) -> list[str]:
    by_category = [fmean(line[category, seed][measure] for seed in SEEDS) for category in CATEGORIES]
    by_seed = [fmean(line[category, seed][measure] for category in CATEGORIES) for seed in SEEDS]
    return [*(f"{value:.3f}" for value in by_category), f"{fmean(by_seed):.3f} ± {stdev(by_seed):.3f}"]


def show(lines: dict[str, Line]) -> None:
    """Print one Markdown table per measure."""
    for measure, title in MEASURES.items():
        print(f"\n| {title} | {' | '.join(CATEGORIES)} | mean | CAVGA-R_u ahead: demo | 1,600 images |")
        print("|---" * (len(CATEGORIES) + 4) + "|")
        for name, line in lines.items():
            counts = [ahead(lines[own], line, measure) for own in ("CAVGA-R_u, demo", "CAVGA-R_u, 1,600 images")]
            print("| " + " | ".join([name, *row(line, measure), *counts]) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--only-print", action="store_true", help="read the records that are there")
    options = parser.parse_args()
    if not options.only_print:
        run(options.cores)
    show({name: values(*line) for name, line in LINES.items()})


if __name__ == "__main__":
    main()
