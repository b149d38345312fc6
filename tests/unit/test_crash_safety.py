"""What a crash leaves behind, and what a build makes of it: status files, lost arrays, counted failures."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.workflow import job_status as job_status
from harness.workflow.failed import Build


def put(path: Path, text: str = "{}", age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_status_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps = []
    sync, replace = job_status._sync, Path.replace
    monkeypatch.setattr(job_status, "_sync", lambda path: (steps.append(("sync", path.name)), sync(path)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (steps.append(("rename", b.name)), replace(a, b)))
    job_status.write_status(tmp_path / "status.json", {"status": "measured"})
    kinds = [kind for kind, _ in steps]
    assert kinds.index("sync") < kinds.index("rename")
    assert steps[-1] == ("sync", tmp_path.name)
    assert job_status.read_status(tmp_path / "status.json") == {"status": "measured"}


def test_a_status_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    job_status.write_status(tmp_path / "status.json", {"status": "measured"})
    with pytest.raises(TypeError):
        job_status.write_status(tmp_path / "status.json", {"status": object()})

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job_status, "_sync", full)
    with pytest.raises(OSError, match="No space"):
        job_status.write_status(tmp_path / "status.json", {"status": "failed"})
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]
    assert job_status.read_status(tmp_path / "status.json") == {"status": "measured"}


def test_a_folder_is_forced_to_disk_file_by_file(tmp_path, monkeypatch):
    put(tmp_path / "data" / "train.npy")
    synced = []
    monkeypatch.setattr(job_status, "_sync", lambda path: synced.append(path.name))
    job_status.force_to_disk(tmp_path / "data")
    assert synced == ["train.npy", "data", tmp_path.name]


def test_a_full_disk_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "a.txt", "a")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.cli.publish.write_text", full)
    assert main(["sums", "a.txt", "--output", "sums"]) == 2
    assert capsys.readouterr().err == (
        "error: sums: the disk or your quota is full; free some and give the command again\n"
    )
    assert not (tmp_path / "sums").exists()


@pytest.mark.parametrize("name", ["train.npy", "masks.npy", "images.csv"])
def test_a_lost_array_is_prepared_again_in_place(demo, tmp_path, name):
    from dataclasses import replace

    from harness.cli.data import missing_arrays, restore_data
    from harness.data.prepare import prepare
    from harness.data.preparing import preparing

    plan = replace(demo, work=tmp_path / "work", _digests={})
    cell = plan.cell("mvtec_ad", "brick", "ae_l2", 0)
    folder = plan.data_folder(cell, 64)
    entry = plan.dataset(cell)
    prepare(entry, cell.category, plan.work, folder, preparing(plan.protocol, cell.dataset, 64))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert missing_arrays(folder) == []
    (folder / name).unlink()
    assert missing_arrays(folder) == [name]
    restore_data(plan, cell, 64)
    assert {path: (folder / path).read_bytes() for path in before} == before


def test_data_without_masks_lack_nothing(tmp_path):
    from harness.cli.data import missing_arrays

    for name in ("train.npy", "test.npy"):
        put(tmp_path / name)
    put(tmp_path / "images.csv", "split,mask_digest\ntest,\n")
    put(tmp_path / "manifest.json", json.dumps({"digest": "x"}))
    assert missing_arrays(tmp_path) == []
    put(tmp_path / "manifest.json", json.dumps({"error": "no images"}))
    (tmp_path / "train.npy").unlink()
    assert missing_arrays(tmp_path) == []


def test_failures_since_a_build_began_are_counted_whatever_their_files_dates(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    old, new = put(tmp_path / "work/failures/old", "NaN\n", age=-86400), tmp_path / "work/failures/new"
    build = Build()
    assert list(build.failures()) == []
    job_status.note_failure(Path("work"), "new", "out of\nmemory")
    os.utime(new, (0, 0))
    assert list(build.failures()) == ["evaluate new: out of memory"]
    job_status.note_failure(Path("work"), old.name, "again")
    assert "evaluate old: again" in list(build.failures())
