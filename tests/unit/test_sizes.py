"""An image size that a method cannot take is found while planning; fitted all the same, its cells fail in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.records.status import awaited, status
from harness.sides import refused, takes
from harness.tables.aggregate import aggregate
from harness.tables.cells import Evidence
from harness.tables.spec import load_table

PROTOCOL = """
id: odd
title: demo at 48
extends: demo
datasets: {mvtec_ad: {size: 48, channels: 3}}
only: {methods: [ae_l2, vm], categories: [nut]}
"""
REASON = "autoencoder: images or patches of 48 pixels; choose 16, 32, 64, 128, 256 or 512"


REFUSED = "AE_L2 takes images of 32 or 64 pixels, not of 48; change the protocol's `size`, or its option `patch`"


def cell(method: str) -> list[str]:
    return ["--protocol", "odd", "--dataset", "mvtec_ad", "--category", "nut", "--method", method]


@pytest.fixture
def odd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd.yaml").write_text(PROTOCOL)
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"extra_protocols": ["odd.yaml"], "evidence": "fresh"}))
    assert main(["prepare", *cell("vm")[:6]]) == 0


def test_a_size_that_a_method_cannot_take_fails_its_cell_and_not_the_table(odd, capfd):
    assert main(["fit", *cell("ae_l2"), "--note-failure"]) == 0
    assert [line for line in capfd.readouterr().err.splitlines() if "failed" in line] == [
        f"fit {Plan.load('odd').key(Plan.load('odd').cell('mvtec_ad', 'nut', 'ae_l2', 0))}: failed: {REASON}"
    ]
    assert main(["fit", *cell("vm"), "--note-failure"]) == 0
    for method in ("ae_l2", "vm"):
        assert main(["evaluate", *cell(method), "--note-failure"]) == 0
    assert main(["aggregate", "table3_iou", "--protocol", "odd", "--output", "table.json"]) == 0
    capfd.readouterr()
    assert main(["check", "table.json"]) == 1
    assert capfd.readouterr().err == f"failed: table.json nut: {REASON}\n"
    assert main(["fit", *cell("ae_l2")]) == 1, "by hand it is said, too"


def test_planning_says_so_with_the_sizes_beside_it(odd, capsys):
    plan = Plan.load("odd")
    ae_l2, vm = (plan.cell("mvtec_ad", "nut", method, 0) for method in ("ae_l2", "vm"))
    assert (status(plan, ae_l2).state, status(plan, ae_l2).reason) == ("unavailable", REFUSED)
    assert awaited(plan, ae_l2) is None
    assert awaited(plan, vm) is not None
    capsys.readouterr()
    assert main(["plan", "results/odd/table3_iou.tex"]) == 0
    said = capsys.readouterr().out
    assert f"unavailable: {REFUSED} (1 cells: demo_textures nut)" in " ".join(said.split())
    assert "1 fits to run" in said


def test_a_table_has_the_other_cells(odd):
    assert main(["fit", *cell("vm")]) == 0
    assert main(["evaluate", *cell("vm")]) == 0
    cells = {
        series.method: cell
        for series, position, cell in aggregate(Evidence(Plan.load("odd")), load_table("table3_iou")).by_series()
        if position.id == "nut"
    }
    assert (cells["ae_l2"].state, cells["ae_l2"].reason) == ("unavailable", REFUSED)
    assert cells["vm"].state == "measured"


@pytest.mark.parametrize(
    ("sides", "taken"),
    [
        ((), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}),
        ((4, 8), {4, 8}),
        ((3, "6+2"), {3, 6, 8, 10, 12}),
        (("2+2", "7+3", 12), {2, 4, 6, 7, 10, 12}),
    ],
)
def test_sides(sides, taken):
    assert {side for side in range(1, 13) if takes(sides, side)} == taken


def test_where_no_smaller_side_is_taken_the_larger_one_is_named():
    plan = Plan.load("demo")
    cell = plan.cell("mvtec_ad", "nut", "ae_l2", 0)
    reason = refused(plan.method(cell), (200,), plan.settings(cell))
    assert reason is not None
    assert "takes images of 200 pixels, not of 64;" in reason


def test_an_option_that_does_not_exist_is_for_the_user_to_mend():
    from harness.cli.compute import _refusal_is_failure
    from harness.training.registry import build_detector

    with pytest.raises(ConfigError, match="unknown option 'speed'"), _refusal_is_failure():
        build_detector("baselines.variation_model:VariationModel", (3, 8, 8), {"speed": 1})
