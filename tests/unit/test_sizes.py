"""An image size that a method cannot take is the failure of its cells, in one line; the table has the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.errors import ConfigError
from harness.records.plan import Plan

PROTOCOL = """
id: odd
title: demo at 48
extends: demo
datasets: {mvtec_ad: {size: 48, channels: 3}}
only: {methods: [ae_l2, vm], categories: [nut]}
"""
REASON = "autoencoder: images or patches of 48 pixels; choose 16, 32, 64, 128, 256 or 512"


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


def test_an_option_that_does_not_exist_is_for_the_user_to_mend():
    from harness.cli.compute import _refusal_is_failure
    from harness.training.registry import build_detector

    with pytest.raises(ConfigError, match="unknown option 'speed'"), _refusal_is_failure():
        build_detector("baselines.variation_model:VariationModel", (3, 8, 8), {"speed": 1})
