"""What an own protocol limits is limited for every method, and the plan says each method's budget."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.limits import limited
from harness.records.plan import Plan
from harness.settings import BUDGETS

FEW = "id: few\ntitle: few\nextends: {base}\nlimits: {{images_seen: 320, batch_size: 8, learning_rate: 2.0e-4}}\n"


def plan_of(tmp_path: Path, base: str, more: str = "methods: {}\n") -> Plan:
    path = tmp_path / "few.yaml"
    path.write_text(FEW.format(base=base) + more)
    return Plan.load("few", load_config({"data_root": None, "extra_protocols": [str(path)]}))


@pytest.mark.parametrize("base", ["demo", "lite", "paper"])
def test_no_method_sees_more_than_an_own_protocol_allows(tmp_path: Path, base: str) -> None:
    plan, before = plan_of(tmp_path, base), Plan.load(base)
    checked = 0
    for dataset in plan.protocol.datasets:
        category = next(iter(plan.categories(dataset)))
        for method in plan.methods:
            cell = plan.cell(dataset, category, method, 0)
            was = before.settings(before.cell(dataset, category, method, 0)).training
            now = plan.settings(cell).training
            if was.get("images_seen") or was.get("epochs"):
                checked += 1
                assert 0 < now["images_seen"] <= 320, f"{method} on {dataset}"
                assert now["batch_size"] <= 8
                assert now["learning_rate"] <= 2e-4
    assert checked > 100


def test_a_smaller_budget_stays_and_what_the_own_protocol_says_of_a_method_wins(tmp_path: Path) -> None:
    demo = Plan.load("demo")
    small = demo.settings(demo.cell("mvtec_ad", "brick", "advae", 0)).training["images_seen"]
    assert small < 320
    plan = plan_of(tmp_path, "demo", "methods: {lsa: {training: {images_seen: 640}}}\n")
    assert plan.settings(plan.cell("mvtec_ad", "brick", "advae", 0)).training["images_seen"] == small
    assert plan.settings(plan.cell("mnist", "3", "lsa", 0)).training["images_seen"] == 640


def test_every_layer_of_an_override_is_limited() -> None:
    override = {"training": {"epochs": 60, "images_seen": None}, "options": {"images_seen": 9},
                "by_dataset": {"d": {"training": {"images_seen": 900, "lr_factor": 1.0}}},
                "by_kind": {"object": {"training": {"images_seen": 90}}}}  # fmt: skip
    found = limited({"m": override}, {"images_seen": 320, "epochs": None})["m"]
    assert found == {"training": {"epochs": 60, "images_seen": 320}, "options": {"images_seen": 9},
                     "by_dataset": {"d": {"training": {"images_seen": 320, "lr_factor": 1.0}}},
                     "by_kind": {"object": {"training": {"images_seen": 90}}}}  # fmt: skip


def test_the_plan_says_each_methods_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_of(tmp_path, "demo")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"extra_protocols": ["few.yaml"]}))
    assert main(["plan", "results/few/table3_iou.tex"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "budget" in lines[0]
    (advae,) = (line for line in lines if " advae " in line)
    (capped,) = (line for line in lines if " ae_l2 " in line)
    (untrained,) = (line for line in lines if " vm " in line)
    assert "96 images" in advae
    assert "320 images" in capped
    assert "images" not in untrained


@pytest.mark.parametrize("protocol", ["demo", "lite", "paper"])
def test_every_method_that_trains_in_the_paper_protocol_has_a_budget_and_a_rate_in_each(protocol: str) -> None:
    plan = Plan.load(protocol)
    trained = [name for name, entry in plan.methods.items() if any(entry.training.get(key) for key in BUDGETS)]
    assert len(trained) > 20
    for dataset, method in product(plan.protocol.datasets, trained):
        for category in plan.categories(dataset):
            training = plan.settings(plan.cell(dataset, category, method, 0)).training
            assert any(training.get(key) for key in BUDGETS), f"{method} on {dataset}/{category}"
            assert training["learning_rate"] > 0, f"{method} on {dataset}/{category}"
