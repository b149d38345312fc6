"""Records that move to today's key: only after a fit made again has given the same bytes."""

from dataclasses import replace

import pytest

from harness.audit.rekey import fresh_records, rekey
from harness.config import load_config
from harness.records.plan import Plan
from harness.records.reading import read_checked
from harness.records.record import Cost
from tests.records import other_code, record_of, write

PLAN = Plan.load("lite", load_config({"data_root": None}))
SLOW, QUICK, OTHER = (
    PLAN.cell("mvtec_ad", category, method, 0)
    for category, method in (("bottle", "cavga_r_u"), ("cable", "cavga_r_u"), ("bottle", "ae_l2"))
)


@pytest.fixture(autouse=True)
def records(tmp_path, monkeypatch):
    monkeypatch.setattr("harness.paths.RECORDS", tmp_path / "records")
    for cell, seconds in ((SLOW, 90.0), (QUICK, 3.0), (OTHER, 5.0)):
        write(record_of(PLAN, cell, keys=other_code(PLAN, cell), fit=Cost(seconds, 1)), tmp_path / "records")
    return tmp_path / "records"


def run(cells=(SLOW, QUICK, OTHER), **over):
    """Rekey with a measuring that gives each sample a record with `over` another; return words and the samples."""
    asked = []

    def measure(samples):
        asked.extend(samples)
        return {cell: replace(record_of(PLAN, cell), **over.get(cell.method, {})) for cell in samples}

    moved = rekey(cells, lambda _: PLAN, measure)
    return {found.cell: found for found in moved}, asked


def test_equal_bytes_of_the_quickest_fit_move_all_of_a_method(records):
    found, asked = run()
    assert asked == [QUICK, OTHER]
    assert {moved.word for moved in found.values()} == {"rekeyed"}
    before = read_checked(records / SLOW.record, SLOW)
    for moved in found.values():
        moved.write()
    after = read_checked(records / SLOW.record, SLOW)
    assert after.keys == PLAN.keys(SLOW)
    assert after.measures == before.measures
    assert [(note.fingerprint, note.shown_by) for note in after.rekeyed] == [
        (before.fingerprint, ("lite/mvtec_ad/cable/cavga_r_u/seed0",))
    ]


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"maps_digest": "0" * 64}, "gives other maps"),
        ({"measures": record_of(PLAN, QUICK, 0.51).measures}, "gives other numbers: pixel_auroc: 0.500000 → 0.510000"),
        ({"data_digest": "0" * 64}, "has other data"),
        ({"status": "failed", "reason": "NaN"}, "failed: NaN"),
    ],
    ids=["maps", "numbers", "data", "failed"],
)
def test_a_sample_that_differs_keeps_its_methods_records_where_they_are(over, reason):
    found, _ = run(cavga_r_u=over)
    assert (found[SLOW].word, found[QUICK].word, found[OTHER].word) == ("refused", "refused", "rekeyed")
    assert reason in found[SLOW].reason
    assert found[SLOW].record is None


@pytest.mark.parametrize("key", ["fit_inputs", "measuring_inputs"])
def test_other_settings_are_never_moved(records, key):
    keys = replace(PLAN.keys(SLOW), **{key: "0" * 64})
    write(record_of(PLAN, SLOW, keys=keys), records)
    found, asked = run([SLOW])
    assert (found[SLOW].word, asked) == ("refused", [])
    assert "its settings are others today" in found[SLOW].reason


def test_a_record_with_todays_key_stays(records):
    write(record_of(PLAN, SLOW), records)
    found, asked = run([SLOW])
    assert (found[SLOW].word, asked) == ("unchanged", [])


def test_a_sample_that_left_no_record_is_no_proof(tmp_path):
    moved = rekey([SLOW], lambda _: PLAN, lambda samples: fresh_records(samples, tmp_path / "work"))
    assert [(found.word, found.reason) for found in moved] == [
        ("refused", "lite/mvtec_ad/bottle/cavga_r_u/seed0, measured again, failed")
    ]
