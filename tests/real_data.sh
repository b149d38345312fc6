#!/usr/bin/env bash
# The lite build of one real category, cut to one method and a few steps: CAVGA_DATA names the folder with the data.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
cat >"$there/few_steps.yaml" <<'YAML'
id: few_steps
title: lite protocol, cut to a few steps
extends: lite
limits: {images_seen: 48}
YAML
record=work/records/few_steps/mvtec_ad/bottle/ae_l2/seed0.json
snakemake "$record" --cores 2 --directory "$there" --config "extra_protocols=['$there/few_steps.yaml']"
python - "$there/$record" <<'PY'
import json, sys
record = json.load(open(sys.argv[1]))
measures = {m["name"]: m["value"] for m in record["measures"]}
assert record["status"] == "measured" and record["counts"]["test_anomalous"] == 63, record["reason"]
assert 0 < measures["pixel_auroc"] < 1
print(f"real data: pixel AuROC {measures['pixel_auroc']:.3f} after a few steps on {record['counts']['train']} images")
PY
python - "$there/work/data/few_steps/mvtec_ad/bottle/128px" <<'PY'
import sys
from pathlib import Path
from harness.data.prepared import Prepared
from harness.records.yardsticks import measure_yardsticks
found = measure_yardsticks(Prepared.open(Path(sys.argv[1])))
expected = {"everything": (0.5, 0.058), "centre": (0.80, 0.14), "mean": (0.84, 0.18), "mean_deviation": (0.87, 0.30),
            "cells_8": (0.99, 0.58), "cells_16": (1.0, 0.76), "cells_32": (1.0, 0.88)}
for name, values in expected.items():
    for measure, value in zip(("pixel_auroc", "iou"), values):
        assert abs(found.value(name, measure) - value) < 0.006, (name, measure, found.value(name, measure))
print("real data: the yardsticks are where they were found before")
PY
