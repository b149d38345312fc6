"""Records as data: the frame, the verb that writes it, and what it says of records that are old or strange."""

import pandas as pd
import pytest

from harness import paths
from harness.audit.compare import read_folder
from harness.cli.main import main
from harness.config import load_config
from harness.errors import EvidenceError
from harness.records.frame import COLUMNS, load_records
from harness.records.plan import Plan
from tests.records import edit, other_code, record_of, write

PLAN = Plan.load("lite", load_config({"data_root": None}))
BOTTLE = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", 0)
CABLE = PLAN.cell("mvtec_ad", "cable", "vm", 0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "RECORDS", tmp_path / "records")
    return tmp_path


def test_a_row_a_measure_of_accepted_and_of_measured_records(here):
    accepted, fresh = record_of(PLAN, BOTTLE, 0.4), record_of(PLAN, CABLE, 0.6, dirty=True)
    write(accepted, here / "records")
    write(fresh, here / "work" / "records")
    frame = load_records()
    assert list(frame) == list(COLUMNS)
    assert len(frame) == len(accepted.measures) + len(fresh.measures)
    row = frame[(frame.category == "bottle") & (frame.measure == "iou") & (frame.policy == "best_on_test")].iloc[0]
    assert (row.evidence, row.method, row.seed, row.value, row.low, row.high) == (
        "accepted", "cavga_r_u", 0, 0.4, pytest.approx(0.35), pytest.approx(0.45),
    )  # fmt: skip
    assert (row.fit_key, row.commit, row.weights_origin, row.images_seen, row.record) == (
        accepted.fit_key, "0" * 40, "random", 20, f"records/{BOTTLE.record}",
    )  # fmt: skip
    assert set(frame[frame.category == "cable"].evidence) == {"measured"}
    assert frame.groupby("category").dirty.any().to_dict() == {"bottle": False, "cable": True}
    assert frame[frame.measure == "pixel_auroc"].policy.isna().all()


def test_a_number_that_todays_sources_do_not_imply_says_so(here):
    write(record_of(PLAN, BOTTLE, keys=other_code(PLAN, BOTTLE)), here / "records")
    write(record_of(PLAN, CABLE), here / "records")
    write(record_of(PLAN, CABLE, method="a_colleagues"), here / "records")
    current = load_records().groupby("method").current.first()
    assert (bool(current["cavga_r_u"]), bool(current["vm"])) == (False, True)
    assert current["a_colleagues"] is pd.NA


def test_failed_records_have_no_rows_and_none_is_an_empty_frame(here):
    assert load_records().empty
    write(record_of(PLAN, BOTTLE, status="failed", reason="NaN", measures=()), here / "work" / "records")
    assert list(load_records()) == list(COLUMNS)
    assert load_records().empty


def test_what_is_no_record_is_refused(here):
    with pytest.raises(EvidenceError, match=r"elsewhere: no records there"):
        load_records(here / "elsewhere")
    path = write(record_of(PLAN, BOTTLE), here / "records")
    copied = path.with_name("seed1.json")
    copied.write_text(path.read_text())
    with pytest.raises(EvidenceError, match="another cell"):
        load_records()
    copied.unlink()
    edit(path, commit="1" * 40)
    with pytest.raises(EvidenceError, match="altered"):
        load_records()


def test_a_part_of_a_folder_of_records_will_do(here):
    write(record_of(PLAN, BOTTLE), here / "records")
    write(record_of(PLAN, CABLE), here / "records")
    part = load_records(here / "records" / "lite" / "mvtec_ad" / "cable")
    assert set(part.category) == {"cable"}
    assert set(part.evidence) == {"accepted"}
    assert set(read_folder(here / "records" / "lite")) == {BOTTLE.key[:4], CABLE.key[:4]}


def test_a_folder_without_records_is_not_compared(here, capsys):
    write(record_of(PLAN, BOTTLE), here / "records")
    (here / "docs").mkdir()
    assert main(["compare", "records", "docs"]) == 2
    assert "docs: no records there" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_one_line_and_leaves_nothing(here, capsys):
    write(record_of(PLAN, BOTTLE), here / "records")
    (here / "taken").mkdir()
    for name in ("taken", "/proc/records.csv"):
        words = ["records", "--output", name] if name.endswith(".csv") else ["layers", "cavga_r_u", "--output", name]
        assert main(words) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "name another place" in error
    assert {path.name for path in here.iterdir()} == {"records", "taken"}


def test_the_verb_writes_what_pandas_reads_again(here, capsys):
    write(record_of(PLAN, BOTTLE, 0.1 + 0.2), here / "records")
    assert main(["records", "--output", "out/records.csv"]) == 0
    assert capsys.readouterr().err == f"out/records.csv: {len(load_records())} rows of 1 records\n"
    again = pd.read_csv("out/records.csv", dtype=COLUMNS)
    pd.testing.assert_frame_equal(again, load_records())
    assert main(["records", "records"]) == 0
    assert capsys.readouterr().out == (here / "out" / "records.csv").read_text()


def test_a_form_that_cannot_be_written_is_one_line(here, capsys, monkeypatch):
    monkeypatch.setattr("harness.cli.records.find_spec", lambda name: None)
    for name, words in (("a.parquet", "pip install pyarrow, or write a.csv"), ("a.xlsx", ".csv or .parquet")):
        assert main(["records", "--output", name]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert words in error
    assert not list(here.iterdir())


def test_parquet(here):
    pytest.importorskip("pyarrow", reason="no pyarrow; pip install pyarrow")
    write(record_of(PLAN, BOTTLE), here / "records")
    assert main(["records", "--output", "records.parquet"]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet("records.parquet"), load_records())
