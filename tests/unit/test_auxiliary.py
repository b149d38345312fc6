"""Images of anything beside a category's own: named in an entry, pinned by a digest, part of the fit's key."""

from __future__ import annotations

import json

import pytest
import yaml

from harness.cli.main import main
from harness.config import load_config
from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.tables.plans import Plans
from harness.workflow.inputs import RuleInputs

CELL = ("mvtec_ad", "nut", "student_teacher", 0)
WORDS = ["--protocol", "beside", "--dataset", "mvtec_ad", "--category", "nut"]


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """Return a function that writes a protocol in which student–teacher is given bricks, and gives its plan."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"extra_protocols": ["beside.yaml"], "seeds": [0]}))

    def plan(digest="?", category="brick", channels=3):
        entry = {"dataset": "demo_textures", "category": category, "digest": digest}
        content = {
            "id": "beside", "title": "beside", "extends": "demo",
            "datasets": {"demo_textures": {"size": 64, "channels": channels}},
            "methods": {"student_teacher": {"training": {"images_seen": 8}, "auxiliary": entry}},
        }  # fmt: skip
        (tmp_path / "beside.yaml").write_text(yaml.safe_dump(content))
        return Plan.load("beside", load_config())

    return plan


def fit() -> int:
    return main(["fit", *WORDS, "--method", "student_teacher", "--seed", "0"])


def test_a_fit_takes_exactly_the_pinned_images(beside, capfd):
    plan = beside()
    size = plan.settings(plan.cell(*CELL)).size
    for category in ("nut", "brick"):
        assert main(["prepare", *WORDS[:-1], category, "--size", str(size)]) == 0
    assert fit() == 2  # as every wrong input
    said = capfd.readouterr().err
    assert "their digest is not the entry's '?'; write digest: " in said
    digest = said.partition("write digest: ")[2].split()[0]
    manifest = plan.data_folder(plan.auxiliary(plan.cell(*CELL)), size) / "manifest.json"
    assert json.loads(manifest.read_text())["digest"] == digest
    pinned = beside(digest)
    assert fit() == 0
    log = (pinned.fit_folder(pinned.cell(*CELL)) / "log.jsonl").read_text()
    assert '"penalty"' in log  # the loss that there is only beside other images


def test_the_key_holds_which_images_and_no_others_key_moves(beside):
    keys = {beside(digest).key(beside(digest).cell(*CELL)) for digest in ("?", "a" * 64)}
    assert len(keys) == 2
    plain = Plan.load("demo", load_config())
    cell = plain.cell(*CELL)
    assert "auxiliary" not in plain.settings(cell).given()
    assert plain.auxiliary(cell) is None


def test_both_data_are_prepared_before_the_fit(beside):
    plan = beside()
    plans = Plans(load_config())
    key = plans.plan("beside").key(plan.cell(*CELL))
    plans.cells("beside", "modern_mvtad")
    manifests = RuleInputs(plans).fit_data(key)
    assert [path.split("/")[-3] for path in manifests] == ["nut", "brick"]


def test_images_that_are_not_there_make_the_cell_unavailable(beside, tmp_path):
    plan = beside()
    cell = plan.cell(*CELL)
    assert plan.unavailable(cell) is None
    plan._available[("demo_textures", "brick")] = "not here"
    assert plan.unavailable(cell) == "auxiliary images: not here"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"channels": 1}, "the auxiliary images of student_teacher want an entry datasets.demo_textures: {size: 64"),
        ({"category": "bricks"}, "unknown category of demo_textures 'bricks'"),
    ],
)
def test_what_cannot_be_given_is_one_line(beside, wrong, said):
    plan = beside(**wrong)
    with pytest.raises(ConfigError, match=r"^[^\n]*$") as error:
        plan.unavailable(plan.cell(*CELL))
    assert said in str(error.value)
