"""The report stays small enough to be mailed, however many runs have a record."""

from __future__ import annotations

import base64
import json
import re
import zlib
from functools import partial

import numpy as np

from harness.config import load_config
from harness.records.fingerprint import Keys
from harness.records.plan import Plan
from harness.records.record import ImageRow, Overlay
from harness.records.status import Status
from harness.report import build, runs
from harness.tables.aggregate import aggregate
from harness.tables.cells import Evidence
from harness.tables.spec import load_table, table_ids
from tests.unit.fake_plan import record

LIMIT = 1_500_000
DATA = "mvtec_ad"
PICTURE = 1500
"""Characters of one picture of lite's records on MVTec AD."""


def full(cell) -> Status:
    """Return a record of random numbers that is as large as lite's are on MVTec AD."""
    random = np.random.default_rng(abs(hash(cell.key)))
    rows = [
        ImageRow(f"test/{cell.category}/{i:03d}.png", "cut", i > 20, *random.uniform(0, 1, 2).tolist())
        for i in range(83)
    ]
    pictures = [
        Overlay(
            rows[i + 21].id, 0.5, "data:image/webp;base64," + base64.b64encode(random.bytes(PICTURE * 3 // 4)).decode()
        )
        for i in range(4)
    ]
    steps = list(range(60))
    made = record(
        float(random.uniform()), dataset=cell.dataset, category=cell.category, method=cell.method, seed=cell.seed,
        images=tuple(rows), overlays=tuple(pictures), keys=Keys(*(random.bytes(32).hex() for _ in range(4))),
        curve={"thresholds": np.linspace(0, 1, 101).tolist(), "iou": random.uniform(0, 1, 101).tolist()},
        losses={"training": {"step": steps, "loss": random.uniform(0, 1, 60).tolist()}},
    )  # fmt: skip
    return Status("recorded", None, made, f"records/{cell.key.protocol}.json")


def rendered(monkeypatch, seeds: tuple[int, ...]) -> str:
    """Return the report of lite with every cell of MVTec AD recorded under these seeds."""
    plan = Plan.load("lite", load_config({"evidence": "recorded", "data_root": None, "seeds": list(seeds)}))
    known: dict[tuple[str, ...], Status] = {}

    def decide(_, cell):
        if cell.dataset != DATA or cell.seed not in seeds:
            return Status("not_measured", "no accepted record")
        return known.setdefault(cell.key, full(cell))

    monkeypatch.setattr(runs, "Evidence", partial(Evidence, decide=decide))
    monkeypatch.setattr(build, "threshold_curves", lambda tables: {})  # it opens the records' files
    evidence = Evidence(plan, decide)
    tables = {name: aggregate(evidence, load_table(name)) for name in table_ids() if not load_table(name).on_request}
    return build.render(plan, tables, build.ROOT / "no figures")


def test_the_report_is_small_with_a_record_for_every_cell_of_three_seeds(monkeypatch):
    page = rendered(monkeypatch, (0, 1, 2))
    assert len(page.encode()) < LIMIT
    packed = re.search(r'id="data">([^<]*)<', page)[1]
    data = json.loads(zlib.decompress(base64.b64decode(packed)))
    found = [run for run in data["runs"] if "about" in run]
    first = [run for run in found if run["id"].endswith("seed0")]
    assert len(found) == 3 * len(first) > 2 * runs.MANY
    assert all(run["measures"] for run in found), "numbers are never cut"
    assert all("cut" in run and "score" not in run for run in found if run not in first)
    assert all(run["score"] and run["curve"] and "cut" not in run for run in first)
    shown = [run for run in found if "examples" in run]
    assert data["pictures"]
    assert all(run in first for run in shown), "the later seeds' pictures are those that are left out"
    assert sum(len(run["examples"]) for run in shown) == len(data["pictures"])


def test_what_one_seed_leaves_goes_to_pictures(monkeypatch):
    page = rendered(monkeypatch, (0,))
    assert 0.9 * build.LARGEST < len(page.encode()) < LIMIT
