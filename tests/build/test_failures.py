"""A cell that fails, in whatever way, is a failed cell: the others are measured, the table says why, it is retried."""

from __future__ import annotations

import json
import re

import pytest

from harness.records.reading import read_record
from harness.tables.render import read_numbers
from tests import painters
from tests.small import Small

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("failures")]
KINDS = ("none", "killed", "crashed", "memory", "wrong", "nan", "export", "measure")
REASONS = {
    "bottle/killed": r"the process was killed \(SIGKILL\): out of memory, or by hand",
    "bottle/crashed": r"the process crashed \(SIGSEGV: Segmentation fault\)",
    "bottle/memory": r"MemoryError: Unable to allocate",
    "bottle/wrong": r"KeyError: 'no such key'",
    "bottle/nan": r"loss is not finite at step \d+ of train",
    "bottle/export": r"the process was killed \(SIGKILL\): out of memory, or by hand",
    "bottle/measure": r"the process was killed \(SIGKILL\): out of memory, or by hand",
    "tile/none": r"tile/test/broken/001\.png: truncated or damaged",
}
KILL = """    if cell.method == "measure" and Path("trouble").exists() and fit["status"] != "failed":
        __import__("os").kill(__import__("os").getpid(), 9)
    failed = fit if"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A build in which every method but one fails in its own way, and one category has a damaged image."""
    small = Small(tmp_path_factory.mktemp("failures"), KINDS)
    small.add_troubled(KINDS)
    small.edit("harness/records/evaluate.py", "    failed = fit if", KILL)
    (small.place / "trouble").touch()
    broken = small.data / "parts" / "tile" / "test" / "broken" / "001.png"
    broken.write_bytes(broken.read_bytes()[:-100])
    return small


@pytest.fixture(scope="module")
def built(small):
    """Exit code and output of the build with all its troubles."""
    return small.build(cores=2)


def test_the_build_ends_with_1_and_names_every_failure(built):
    status, output = built
    assert status == 1
    for reason in REASONS.values():
        assert re.search(f"failed: .*{reason}", output), reason


def test_every_failed_cell_has_a_record_with_reason_and_the_logs_tail(small, built):
    records = small.records()
    for cell, reason in REASONS.items():
        record = json.loads(records[cell].read_text())
        assert record["status"] == "failed"
        assert re.search(reason, record["reason"]), record["reason"]
        assert record["log_tail"], cell
    tail = "\n".join(json.loads(records["bottle/crashed"].read_text())["log_tail"])
    assert "_stumble" in tail, "where it crashed"
    assert "peak memory" in tail


def test_the_others_are_measured(small, built):
    assert json.loads(small.records()["bottle/none"].read_text())["status"] == "measured"


def test_the_table_is_built_and_shows_the_failures(small, built):
    table = read_numbers(small.place / "results/tiny/mini.json")
    cells = {f"{row.id}/{column.id}": cell for row, column, cell in table.by_row()}
    for cell, reason in REASONS.items():
        assert cells[cell].state == "failed"
        assert re.search(reason, cells[cell].reason)
    assert cells["bottle/none"].state == "measured"
    for form in ("csv", "tex", "html"):
        assert (small.place / f"results/tiny/mini.{form}").exists()
    assert "truncated or damaged" in (small.place / "results/tiny/mini.html").read_text()


def test_the_next_build_tries_the_failed_stages_again_and_only_those(small, built):
    weights = {p.parent.name: p.stat().st_mtime_ns for p in small.place.glob("work/fits/*/weights.safetensors")}
    plan = small.plan()
    assert plan["prepare"] == 1
    assert plan["fit"] == 7  # six that failed, and the category whose data failed
    assert plan["evaluate"] == 8
    (small.place / "trouble").unlink()
    painters.mvtec(small.data / "parts", "tile", train=13)
    status, output = small.build(cores=2)
    assert status == 0, output
    assert {json.loads(path.read_text())["status"] for path in small.records().values()} == {"measured"}
    for key, date in weights.items():
        assert (small.place / "work/fits" / key / "weights.safetensors").stat().st_mtime_ns == date
    assert small.plan() == {}


def test_damaged_maps_fail_their_cell_and_the_next_build_makes_them_again_without_training(small, built):
    key = read_record(small.records()["bottle/none"]).fit_key
    maps = small.place / f"work/fits/{key}/maps.npz"
    weights = maps.with_name("weights.safetensors").stat().st_mtime_ns
    whole = maps.read_bytes()
    maps.write_bytes(whole[: len(whole) // 2])
    small.records()["bottle/none"].unlink()
    (small.place / "results/tiny/mini.json").unlink()
    status, output = small.build()
    assert status == 1
    assert re.search(r"failed: .*damaged map file", output)
    plan = small.plan()
    assert plan["fit"] == plan["evaluate"] == 1
    assert small.build()[0] == 0
    assert maps.read_bytes() == whole
    assert maps.with_name("weights.safetensors").stat().st_mtime_ns == weights
