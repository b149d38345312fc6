"""What a crash leaves behind, and what a build makes of it: markers, dates, temporary files, the build lock."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.workflow import job_status as marker
from harness.workflow.tidy import DEAD_AFTER, tidy
from harness.workflow.turn import alone


def put(path: Path, text: str = "{}", age: float = 0.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_marker_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    steps = []
    sync, replace = marker._sync, Path.replace
    monkeypatch.setattr(marker, "_sync", lambda path: (steps.append(("sync", path.name)), sync(path)))
    monkeypatch.setattr(Path, "replace", lambda a, b: (steps.append(("rename", b.name)), replace(a, b)))
    marker.write_marker(tmp_path / "fit.json", {"status": "measured"})
    kinds = [kind for kind, _ in steps]
    assert kinds.index("sync") < kinds.index("rename")
    assert steps[-1] == ("sync", tmp_path.name)
    assert marker.read_marker(tmp_path / "fit.json") == {"status": "measured"}


def test_a_marker_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    marker.write_marker(tmp_path / "fit.json", {"status": "measured"})
    with pytest.raises(TypeError):
        marker.write_marker(tmp_path / "fit.json", {"status": object()})

    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(marker, "_sync", full)
    with pytest.raises(OSError, match="No space"):
        marker.write_marker(tmp_path / "fit.json", {"status": "failed"})
    assert [path.name for path in tmp_path.iterdir()] == ["fit.json"]
    assert marker.read_marker(tmp_path / "fit.json") == {"status": "measured"}


def test_a_folder_is_forced_to_disk_file_by_file(tmp_path, monkeypatch):
    put(tmp_path / "data" / "train.npy")
    synced = []
    monkeypatch.setattr(marker, "_sync", lambda path: synced.append(path.name))
    marker.force_to_disk(tmp_path / "data")
    assert synced == ["train.npy", "data", tmp_path.name]


def test_dates_of_the_future_are_brought_to_now_and_others_kept(tmp_path):
    early = put(tmp_path / "work/fits/a/fit.json", age=1000)
    late = put(tmp_path / "work/data/p/d/c/32px/manifest.json", age=-86400)
    accepted = put(tmp_path / "records/p/d/c/m/seed0.json", age=-86400)
    before = early.stat().st_mtime
    tidy(tmp_path)
    assert early.stat().st_mtime == before
    for path in (late, accepted):
        assert abs(path.stat().st_mtime - time.time()) < 60


def test_empty_markers_and_records_go_and_are_made_again_but_no_accepted_one(tmp_path):
    lost = [put(tmp_path / "work" / name, "") for name in ("fits/a/fit.json", "records/p/d/c/m/seed0.json")]
    kept = [put(tmp_path / "records/p/d/c/m/seed0.json", ""), put(tmp_path / "work/maps/failed.npz", "")]
    tidy(tmp_path)
    assert not any(path.exists() for path in lost)
    assert all(path.exists() for path in kept)


@pytest.mark.parametrize(
    "name",
    [
        "fits/a/checkpoint.tmp",
        "fits/a/weights.tmp",
        "fits/a/.fit.json.12.tmp",
        "maps/.k.npz.12.test",
        "maps/.k.npz.12.npz",
        "data/p/d/c/.32px.12.tmp/train.npy",
    ],
)
def test_dead_temporary_files_go_and_living_ones_stay(tmp_path, name):
    path = put(tmp_path / "work" / name, "half", age=DEAD_AFTER / 2)
    top = path.parent if path.name == "train.npy" else path
    os.utime(top, (time.time() - 2 * DEAD_AFTER, time.time() - DEAD_AFTER / 2))
    tidy(tmp_path)
    assert path.exists()
    for part in (path, top):
        os.utime(part, (time.time() - 2 * DEAD_AFTER,) * 2)
    tidy(tmp_path)
    assert not top.exists()


HOLD = "import sys, time; from pathlib import Path; from harness.workflow.turn import alone\n" \
    "with alone(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"  # fmt: skip


def test_the_build_lock_dies_with_its_holder_and_stale_snakemake_locks_go(tmp_path, capsys):
    stale = put(tmp_path / "locks" / "0.input.lock")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        assert not stale.exists()
        put(stale)
        waiting = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said = waiting.stderr.readline()
        assert f"another build is at work in this folder (process {holder.pid} on " in said
        assert stale.exists(), "the lock of a living build stays"
        holder.send_signal(signal.SIGKILL)
    assert waiting.stdout.readline() == "held\n"
    assert not stale.exists()
    waiting.kill()
    waiting.communicate()


def test_a_file_system_without_locks_leaves_the_guard_to_snakemake(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("harness.workflow.turn.fcntl.flock", refuse)
    stale = put(tmp_path / "locks" / "0.input.lock")
    with alone(tmp_path):
        assert stale.exists()
    assert "no build lock here (No locks available)" in capsys.readouterr().err


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
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


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


def test_failures_since_a_build_began_are_counted_whatever_their_files_dates(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    old, new = put(tmp_path / "work/failures/old", "NaN\n", age=-86400), tmp_path / "work/failures/new"
    put(tmp_path / "before.json", json.dumps(marker.all_attempts(Path("work"))))
    assert main(["check", "--since", "before.json"]) == 0
    marker.note_failure(Path("work"), "new", "out of\nmemory")
    os.utime(new, (0, 0))
    assert main(["check", "--since", "before.json"]) == 1
    assert capsys.readouterr().err == "failed: new: out of memory\n"
    marker.note_failure(Path("work"), old.name, "again")
    assert main(["check", "--since", "before.json"]) == 1
    assert "failed: old: again" in capsys.readouterr().err
