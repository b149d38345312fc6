"""A typo in an own protocol: one line that names file, key and the near name, whatever verb or build reads it."""

from __future__ import annotations

import json

import pytest

from harness.cli.main import main
from harness.paths import ROOT
from harness.records.status import status
from harness.workflow.environment import read_plans

HEAD = "id: mine\ntitle: my protocol\nextends: demo\n"
CELL = ["--protocol", "mine", "--dataset", "mvtec_ad", "--category", "brick", "--method", "ae_l2"]
TYPOS = [
    (HEAD + "methods: {cavga_ru: {}}", "methods: unknown method 'cavga_ru'; did you mean 'cavga_r_u'?"),
    (HEAD + "limits: {image_seen: 5}", "limits: unknown key 'image_seen'; did you mean 'images_seen'?"),
    (HEAD + "training: {epoch: 5}", "training: unknown key 'epoch'; did you mean 'epochs'?"),
    (
        HEAD + "methods: {lsa: {by_dataset: {mvtecad: {}}}}",
        "methods.lsa.by_dataset: unknown dataset 'mvtecad'; did you mean 'mvtec_ad'?",
    ),
    (
        HEAD + "methods: {lsa: {by_dataset: {demo_textures: {}}}}",
        "methods.lsa.by_dataset: unknown dataset 'demo_textures'; it stands in for 'mvtec_ad'; write that",
    ),
    (
        HEAD + "methods: {lsa: {by_category: {botle: {}}}}",
        "methods.lsa.by_category: unknown category 'botle'; did you mean 'bottle'?",
    ),
    (HEAD + "methods: {lsa: {by_kind: {textur: {}}}}", "unknown kind 'textur'; did you mean 'texture'?"),
    (HEAD + "stand_ins: {mvtec_d: demo_textures}", "stand_ins: unknown dataset 'mvtec_d'; did you mean 'mvtec_ad'?"),
    (HEAD + "stand_ins: {lag: demo_fundu}", "stand_ins.lag: unknown dataset 'demo_fundu'; did you mean 'demo_fundus'?"),
    (HEAD + "datasets: {mvtecad: {size: 64}}", "datasets: unknown dataset 'mvtecad'; did you mean 'mvtec_ad'?"),
    (HEAD.replace("mine", "yours"), "id is 'yours' but must equal the file's name; write id: mine"),
    (HEAD.replace("id: mine\n", ""), "no id; write id: mine, the file's name"),
    (HEAD.replace("demo", "dmo"), "extends: unknown protocol 'dmo'; did you mean 'demo'?"),
    (HEAD.replace("demo", "mine"), "extends: 'mine' extends 'mine' in turn; name another"),
    ("", "holds no keys; config/examples shows what a protocol looks like"),
]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """An own protocol's file, named in the configuration."""
    path = tmp_path / "mine.yaml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"extra_protocols": [str(path)]}))
    return path


@pytest.mark.parametrize(("text", "words"), TYPOS)
def test_a_typo_is_one_line_from_every_verb(mine, capsys, text, words):
    mine.write_text(text)
    for verb in (["plan", "results/mine/table3_iou.tex"], ["aggregate", "table3_iou", "--protocol", "mine"]):
        assert main(verb) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {mine}: ")
        assert words in line
    assert sorted(path.name for path in mine.parent.iterdir()) == ["mine.yaml"]


def test_a_typo_ends_a_build_before_it_plans(mine, capsys):
    mine.write_text(TYPOS[0][0])
    with pytest.raises(SystemExit, match=rf"^error: {mine}: methods: unknown method 'cavga_ru'"):
        read_plans({"extra_protocols": [str(mine)]})


@pytest.mark.parametrize("verb", [["plan", "results/mine/table3_iou.tex"], ["fit", *CELL]])
def test_a_missing_file_is_named_and_not_its_protocol(mine, capsys, verb):
    assert main(verb) == 2
    line = f"error: {mine}: no such file; correct extra_protocols in config/config.yaml\n"
    assert capsys.readouterr().err == line


def test_an_own_protocol_cannot_take_a_shipped_ones_name(tmp_path, monkeypatch, capsys):
    path = tmp_path / "lite.yaml"
    path.write_text(HEAD.replace("mine", "lite"))
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"extra_protocols": [str(path)]}))
    assert main(["plan", "results/lite/table3_iou.tex"]) == 2
    shipped = ROOT / "config" / "protocols" / "lite.yaml"
    assert f"error: {path}: there is a protocol 'lite' already ({shipped}); rename" in capsys.readouterr().err


# a dataset of one's own


@pytest.fixture
def hazelnut(tmp_path, monkeypatch):
    """The example of docs/own_data.md."""
    examples = ROOT / "config" / "examples"
    config = {
        "extra_protocols": [str(examples / "hazelnut.yaml")],
        "extra_datasets": [str(examples / "datasets.yaml")],
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps(config))
    return config


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ("hazelnut_toy", "it stands in for mvtec_ad there; give --dataset mvtec_ad"),
        ("my_parts", "add my_parts to its stand_ins, or under its datasets with size and channels"),
        ("mvtecad", "did you mean 'mvtec_ad'?"),
    ],
)
def test_a_verb_says_which_dataset_id_it_wants(hazelnut, capsys, dataset, words):
    place = ["--protocol", "hazelnut", "--dataset", dataset, "--category", "hazelnut_toy"]
    for verb in (["prepare", *place], ["fit", *place, "--method", "vm"]):
        assert main(verb) == 2
        assert capsys.readouterr().err == f"error: protocol 'hazelnut' has no dataset '{dataset}'; {words}\n"


def test_a_records_path_wants_the_stand_ins_id(hazelnut):
    inputs = read_plans(hazelnut)[0]
    with pytest.raises(SystemExit, match="no dataset 'mvtec_ad'; hazelnut_toy stands in for it and takes its place"):
        inputs.dataset("hazelnut", "mvtec_ad")
    assert inputs.dataset("hazelnut", "hazelnut_toy") == "mvtec_ad"


def test_a_method_for_objects_is_meant_for_an_own_object_that_stands_in(hazelnut):
    grid = read_plans(hazelnut)[0].plans
    methods = {cell.method for cell in grid.cells("hazelnut", "table3_iou")}
    assert "vm" in methods
    assert "ti" not in methods, "for textures only"
    plan = grid.plan("hazelnut")
    assert status(plan, plan.cell("mvtec_ad", "hazelnut_toy", "vm", 0)).state == "unavailable"
