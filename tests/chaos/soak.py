"""The soak test: rounds of trouble, after each of which the same build completes with the same bytes.

python -m tests.chaos.soak --rounds 20 --seed 0          a few minutes a round; needs no GPU, and root for `full` only
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from harness.records.reading import read_record
from tests.chaos.disturb import KINDS
from tests.small import Small, alive, wait_for

METHODS = ("ae_l2", "cavga_d_u")
VARYING = {"date", "fit", "export", "seal"}
"""Fields of a record that hold times, and the seal over them."""


def main() -> int:
    """Run the rounds. Returns 1 at the first round that does not complete with the reference's bytes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first round, to repeat one")
    parser.add_argument("--kinds", default=",".join(KINDS), help="in turn, such as kill,two")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := set(kinds) - KINDS.keys():
        parser.error(f"unknown kind '{unknown.pop()}'; known: {', '.join(KINDS)}")
    folder = Path(tempfile.mkdtemp(prefix="soak"))
    small = Small(folder, METHODS)
    began = time.monotonic()
    status, output = small.build(make=True)
    seconds = time.monotonic() - began
    assert status == 0, output
    reference = content(small.place)
    print(f"reference: {len(reference)} files in {seconds:.0f} s; seed {options.seed}", flush=True)
    for number in range(options.first, options.first + options.rounds):
        kind = kinds[number % len(kinds)]
        if kind == "full" and os.geteuid() != 0:
            print(f"round {number} full: skipped, a tmpfs needs root", flush=True)
            continue
        if not one_round(small, kind, random.Random(f"{options.seed}/{number}"), seconds, reference, number):
            print(f"the files are left in {folder}", file=sys.stderr)
            return 1
    shutil.rmtree(folder)
    return 0


def one_round(
    small: Small, kind: str, random: random.Random, seconds: float, reference: dict[str, str], number: int
) -> bool:
    """Undo some of the work, make trouble, build, compare. Prints one line.

    Results and records have to be there; of weights and maps, which a kept record no longer needs, those that are.
    """
    began = time.monotonic()
    share = undo(small.place, random)
    story = KINDS[kind](small, random, share * seconds)
    status, output = small.build(make=True)
    left = small.plan() if status == 0 else {}
    found = content(small.place)
    wrong = sorted(name for name, digest in found.items() if digest != reference.get(name))
    wrong += sorted(name for name in reference if name not in found and name.startswith(("results/", "work/records/")))
    wait_for(lambda: not strays(small.place), "the last job to end", 90)
    good = status == 0 and not wrong and not left
    verdict = "equal" if good else f"FAILED: exit code {status}, differing {wrong}, left to do {left}"
    print(f"round {number} {kind}: {story}; {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    if not good:
        print(output[-6000:], file=sys.stderr)
    return good


def undo(place: Path, random: random.Random) -> float:
    """Remove everything, or the table and what was made of one or two cells; return about which share is left to do."""
    if random.random() < 0.1:
        for name in ("work", "results", ".snakemake"):
            shutil.rmtree(place / name)
        return 1.0
    # What a finished table was made from is not made again; so the table goes, and with it all that it needs is needed.
    (place / "results/tiny/mini.json").unlink()
    records = sorted((place / "work" / "records").rglob("seed*.json"))
    chosen = random.sample(records, min(len(records), random.choice([1, 1, 2])))
    for path in chosen:
        key = read_record(path).fit_key
        path.unlink()
        if random.random() < 0.8:
            shutil.rmtree(place / "work" / "fits" / key, ignore_errors=True)
    return (len(chosen) + 0.5) / (len(records) + 0.5)


def content(place: Path) -> dict[str, str]:
    """Return the sha256 of every result, record (without its times), map and weight file, by path."""
    found = {}
    for pattern in (
        "results/**/*.*",
        "work/records/**/*.json",
        "work/fits/*/maps.npz",
        "work/fits/*/weights.safetensors",
    ):
        for path in (path for path in place.glob(pattern) if not path.name.startswith(".")):
            data = path.read_bytes()
            if "records" in path.parts:
                record = {key: value for key, value in json.loads(data).items() if key not in VARYING}
                data = json.dumps(record, sort_keys=True).encode()
            found[str(path.relative_to(place))] = hashlib.sha256(data).hexdigest()
    return found


def strays(place: Path) -> list[int]:
    """Return the processes that work in `place`."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdecimal() and (entry / "cwd").readlink() == place and alive(int(entry.name)):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


if __name__ == "__main__":
    sys.exit(main())
