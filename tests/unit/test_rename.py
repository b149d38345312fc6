"""Records that follow a method to its new name: only where fit and measures have the same keys."""

from dataclasses import replace

import pytest

from harness.audit.rename import rename
from harness.config import load_config
from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.records.reading import read_checked
from tests.records import record_of, write

PLAN = Plan.load("lite", load_config({"data_root": None}))
NEW = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", 0)
TWIN = replace(NEW, method="ablation_r_u_conv_ae")  # c4 of Table 8 is the full method: one fit, one measurement
GONE = replace(NEW, method="cavga_r_unsupervised")  # an entry that has another name today


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.paths.RECORDS", tmp_path / "records")
    return tmp_path / "records"


def moved(cell, name):
    (found,) = rename([cell.key], name, lambda _: PLAN)
    found.write()
    return found


def test_a_record_moves_to_the_new_name_and_says_what_it_was_called(records):
    before = replace(record_of(PLAN, NEW), method=GONE.method)
    write(before, records)
    assert moved(GONE, "cavga_r_u").word == "renamed"
    after = read_checked(records / NEW.record, NEW)
    assert not (records / GONE.record).exists()
    assert (after.measures, after.keys, after.fingerprint) == (before.measures, before.keys, before.fingerprint)
    assert [note.shown_by for note in after.rekeyed] == [("lite/mvtec_ad/bottle/cavga_r_unsupervised/seed0",)]


def test_what_is_evidence_under_both_names_stays_under_both(records):
    write(record_of(PLAN, TWIN), records)
    assert moved(TWIN, "cavga_r_u").word == "renamed"
    assert read_checked(records / NEW.record, NEW).measures == read_checked(records / TWIN.record, TWIN).measures


def test_other_settings_keep_their_name(records):
    write(record_of(PLAN, NEW), records)
    found = moved(NEW, "cavga_r_w")
    assert (found.word, found.record) == ("refused", None)
    assert "its fit or its measures are others" in found.reason
    assert (records / NEW.record).exists()


def test_no_accepted_record_is_overwritten(records):
    write(replace(record_of(PLAN, NEW), method=GONE.method), records)
    write(record_of(PLAN, NEW, 0.25), records)
    assert moved(GONE, "cavga_r_u").word == "refused"
    assert read_checked(records / NEW.record, NEW).measures == record_of(PLAN, NEW, 0.25).measures


def test_an_unknown_name_is_one_line(records):
    write(record_of(PLAN, NEW), records)
    with pytest.raises(ConfigError, match="unknown method 'cavga_r_x'; did you mean"):
        moved(NEW, "cavga_r_x")
