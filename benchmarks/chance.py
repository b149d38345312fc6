"""Is every baseline better than chance on the embedded data? Three seeds, through the pipeline itself.

    python benchmarks/chance.py                      # measures what is missing, then prints the table
    python benchmarks/chance.py --only-print

The protocol is config/examples/demo_seeds.yaml, the records lie in work/records/. A seed's number is the mean over
categories: pixel AuROC on the textures and the object of demo_textures, image AuROC over ten classes of small images.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean, stdev

ROOT = Path(__file__).resolve().parents[1]
PROTOCOL, SEEDS = "demo_seeds", (0, 1, 2)
TEXTURES, DIGITS = ("brick", "grass", "gravel"), tuple(map(str, range(10)))
PLACES = {
    "demo_textures": {
        **dict.fromkeys(("ae_l2", "ae_ssim", "anogan", "cnnfd", "avid"), (*TEXTURES, "nut")),
        "ti": TEXTURES, "vm": ("nut",),
    },
    "demo_digits": dict.fromkeys(("lsa", "memae", "ocgan", "ulslm", "beta_vae"), DIGITS),
    "demo_fashion": {"gamma_vae_g": DIGITS},
    "demo_digits_leave_one_out": dict.fromkeys(("beta_vae", "capsnet_pp", "capsnet_re"), DIGITS),
}  # fmt: skip
CHANCE, WANTED = 0.5, 0.6


def record(method: str, category: str, seed: int, dataset: str) -> Path:
    return Path("work", "records", PROTOCOL, dataset, category, method, f"seed{seed}.json")


def values(method: str, dataset: str, categories: tuple[str, ...], measure: str) -> dict[tuple[str, int], float]:
    """Return one measure of a method's fits, by category and seed."""
    line = {}
    for category in categories:
        for seed in SEEDS:
            path = record(method, category, seed, dataset)
            content = json.loads((ROOT / path).read_text())
            if content["status"] != "measured":
                raise SystemExit(f"{path}: {content['reason']}")
            found = {m["name"]: m["value"] for m in content["measures"] if m["policy"] is None}
            line[category, seed] = found[measure]
    return line


def run(cores: int) -> None:
    """Let the pipeline measure every record."""
    targets = [
        str(record(method, category, seed, dataset))
        for dataset, methods in PLACES.items()
        for method, categories in methods.items()
        for category in categories
        for seed in SEEDS
    ]
    config = 'extra_protocols=["config/examples/demo_seeds.yaml"]'
    command = ["snakemake", "--cores", str(cores), "--config", config, "--", *targets]
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True)


def show(dataset: str, method: str, categories: tuple[str, ...]) -> None:
    """Print a method's row: mean over categories and seeds, spread over seeds, and the worst category's mean."""
    measure = "pixel_auroc" if dataset == "demo_textures" else "image_auroc"
    line = values(method, dataset, categories, measure)
    by_seed = [fmean(line[c, seed] for c in categories) for seed in SEEDS]
    by_category = {c: fmean(line[c, seed] for seed in SEEDS) for c in categories}
    worst = min(by_category, key=lambda c: by_category[c])
    mean = fmean(by_seed)
    verdict = "yes" if mean > WANTED else "above chance only" if mean > CHANCE else "no"
    print(
        f"| {dataset} | {method} | {measure.replace('_auroc', '')} | {mean:.3f} ± {stdev(by_seed):.3f} "
        f"| {' '.join(f'{value:.2f}' for value in by_seed)} | {worst} {by_category[worst]:.2f} | {verdict} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--only-print", action="store_true", help="read the records that are there")
    options = parser.parse_args()
    if not options.only_print:
        run(options.cores)
    print(f"| data | method | AuROC of | mean ± spread over seeds | seeds | worst category | above {WANTED} |")
    print("|---|---|---|---|---|---|---|")
    for dataset, methods in PLACES.items():
        for method, categories in methods.items():
            show(dataset, method, categories)


if __name__ == "__main__":
    main()
