"""Altered, misplaced, damaged and old records."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from harness.config import load_config
from harness.errors import EvidenceError
from harness.records.plan import Plan
from harness.records.reading import place_of, read_checked, read_record
from harness.records.record import SCHEMA
from tests.records import edit, record_of, write


@pytest.fixture(scope="module")
def lite() -> Plan:
    return Plan.load("lite", load_config({"data_root": None}))


@pytest.fixture
def cell(lite):
    return lite.cell("mvtec_ad", "bottle", "cavga_r_u", 0)


@pytest.fixture
def path(lite, cell, tmp_path):
    return write(record_of(lite, cell), tmp_path)


def test_a_sound_record_is_read_as_written(path, cell):
    record = read_checked(path, cell)
    assert record.measures[0].value == 0.5
    assert record.content() == json.loads(path.read_text())


@pytest.mark.parametrize(
    "over",
    [
        {"date": "2025-01-01"},
        {"counts": {"train": 10, "validation": 1, "test_normal": 2, "test_anomalous": 1, "excluded": 0}},
        {"dirty": True},
        {"images": []},
        {"seal": None},
        {"seal": "0" * 64},
    ],
    ids=lambda over: next(iter(over)),
)
def test_any_edit_is_noticed(path, cell, over):
    edit(path, **over)
    with pytest.raises(EvidenceError, match="altered after it was written"):
        read_record(path, cell)


def test_one_edited_digit_of_a_measure_is_noticed(path, cell):
    text = path.read_text()
    path.write_text(text.replace('"value": 0.5', '"value": 0.6', 1))
    with pytest.raises(EvidenceError, match="altered after it was written"):
        read_record(path, cell)


def test_other_layout_of_the_same_content_is_no_edit(path, cell):
    path.write_text(json.dumps(json.loads(path.read_text()), indent=4, sort_keys=True))
    assert read_checked(path, cell).seed == 0


def test_a_record_without_its_seal_cannot_pass_as_todays(path, cell):
    content = json.loads(path.read_text())
    del content["seal"]
    path.write_text(json.dumps(content))
    with pytest.raises(EvidenceError, match="altered after it was written"):
        read_record(path, cell)


@pytest.mark.parametrize("key", ["fingerprint", "data_digest", "fit_code", "fit_inputs", "measuring_code"])
def test_a_fingerprint_that_does_not_follow_from_its_keys_is_noticed_though_resealed(path, cell, key):
    keys = json.loads(path.read_text())["keys"]
    over = {"keys": keys | {key: "1" * 64}} if key in keys else {key: "1" * 64}
    edit(path, sealed=True, **over)
    with pytest.raises(EvidenceError, match="does not follow from its own keys"):
        read_checked(path, cell)


@pytest.mark.parametrize(
    ("part", "value"),
    [("protocol", "paper"), ("dataset", "mstc"), ("category", "cable"), ("method", "ae_l2"), ("seed", 1)],
)
def test_a_record_in_another_cells_place_is_refused(path, cell, part, value):
    edit(path, sealed=True, **{part: value})
    with pytest.raises(EvidenceError, match=r"holds the record of .*does not belong here"):
        read_record(path, cell)


def test_unknown_status(path, cell):
    edit(path, sealed=True, status="estimated")
    with pytest.raises(EvidenceError, match="unknown status 'estimated'; known: measured, failed"):
        read_record(path, cell)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_in_a_measure(path, cell, word):
    path.write_text(path.read_text().replace('"value": 0.5', f'"value": {word}', 1))
    with pytest.raises(EvidenceError, match=f"holds {word}, which is no number"):
        read_record(path, cell)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_constructor_writes_no_such_measure_and_leaves_nothing(lite, cell, tmp_path, value):
    measures = record_of(lite, cell).measures
    record = record_of(lite, cell, measures=(replace(measures[0], value=value), *measures[1:]))
    with pytest.raises(EvidenceError, match="pixel_auroc"):
        write(record, tmp_path)
    assert not list(tmp_path.rglob("*.json*"))


def test_the_constructor_demands_every_field(lite, cell):
    from harness.records.record import Record

    fields = {key: value for key, value in vars(record_of(lite, cell)).items() if key != "keys"}
    with pytest.raises(TypeError, match="keys"):
        Record(**fields)


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 2', '{"seed": 0, "seed": 1}'])
def test_damaged_files(path, cell, text):
    path.write_text(text)
    with pytest.raises(EvidenceError, match=r"not a (readable )?record"):
        read_record(path, cell)


@pytest.mark.parametrize("schema", [0, SCHEMA + 1, "1", True, None])
def test_unknown_schemas(path, cell, schema):
    edit(path, sealed=True, schema=schema)
    with pytest.raises(EvidenceError, match=r"schema .*, not 3; delete it and measure again"):
        read_record(path, cell)


def test_an_unknown_key_is_found_by_the_thorough_reading(path, cell):
    edit(path, sealed=True, remark="looks good")
    with pytest.raises(EvidenceError, match="remark"):
        read_checked(path, cell)


@pytest.mark.parametrize(
    "name",
    ["lite/mvtec_ad/bottle/m/seed01.json", "lite/mvtec_ad/bottle/m/seed0.json.bak", "lite/a/b/seed0.json", "x.txt"],
)
def test_what_is_no_place_of_a_record(name):
    with pytest.raises(EvidenceError, match="is no record's place"):
        place_of(Path("records", name), Path("records"))
