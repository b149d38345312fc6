"""Whoever alters evidence gets one line that names the file and the remedy, and an exit code; no table is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.records.plan import Plan
from tests.records import edit, record_of, write

PLAN = Plan.load("lite", load_config({"evidence": "recorded", "data_root": None}))
CELL = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", 0)


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """An accepted record below the current folder, by its relative path."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"evidence": "recorded"}))
    write(record_of(PLAN, CELL, 0.4), tmp_path / "records")
    return Path("records") / CELL.record


def number_to_nan(path: Path) -> None:
    path.write_text(path.read_text().replace('"value": 0.4', '"value": NaN', 1))


def key_twice(path: Path) -> None:
    path.write_text(path.read_text().replace("{", '{"seed": 0, ', 1))


@pytest.mark.parametrize(
    ("tamper", "fault", "remedy"),
    [
        (lambda path: edit(path, dirty=True), "was altered after it was written", "restore it (git checkout)"),
        (lambda path: edit(path, sealed=True, protocol="paper"), "holds the record of paper/", "move it or delete it"),
        (lambda path: edit(path, sealed=True, status="guessed"), "unknown status 'guessed'", "measure it again"),
        (number_to_nan, "holds NaN, which is no number", "delete the file and measure again"),
        (key_twice, "a key stands twice", "restore it (git checkout), or delete it and measure the cell again"),
    ],
    ids=["edited", "another protocol", "unknown status", "NaN", "key twice"],
)
def test_a_table_is_not_built_from_it(path, capsys, tamper, fault, remedy):
    tamper(path)
    assert main(["aggregate", "table3_iou", "--protocol", "lite"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path}: ")
    assert fault in line
    assert remedy in line
    assert not Path("results").exists()


def copy_as_another_seed(path: Path) -> Path:
    other = path.with_name("seed1.json")
    other.write_text(path.read_text())
    return other


def copy_beside(path: Path) -> Path:
    other = path.with_name("seed0 (copy).json")
    other.write_text(path.read_text())
    return other


def forge_fingerprint(path: Path) -> Path:
    edit(path, sealed=True, fingerprint="0" * 64)
    return path


@pytest.mark.parametrize(
    ("tamper", "fault", "remedy"),
    [
        (forge_fingerprint, "the fingerprint does not follow from its own keys", "measure the cell again"),
        (copy_as_another_seed, "holds the record of lite/mvtec_ad/bottle/cavga_r_u/seed0", "move it or delete it"),
        (copy_beside, "is no record's place", "remove it"),
    ],
    ids=["fingerprint", "duplicate cell", "copy"],
)
def test_verify_finds_it(path, capsys, tamper, fault, remedy):
    altered = tamper(path)
    assert main(["verify"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if str(altered) in line]
    assert len(lines) == 1
    assert lines[0].startswith("fault: ")
    assert fault in lines[0]
    assert remedy in lines[0]
