"""Prepared data of MVTec-like folders: arrays, manifest, digest, frozen splits, and nothing on a second call."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import prepare as module
from harness.data.prepared import Prepared
from harness.data.splits import validation_indices, weak_split
from harness.errors import DataError
from tests import painters
from tests.entries import MVTEC, bring


def files(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir() if p.name != "state.txt"}


def test_arrays_masks_and_rows_agree(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert prepared.train.shape == (12, 16, 16, 3)
    assert prepared.test.shape == (10, 16, 16, 3)
    assert prepared.masks is not None
    assert prepared.masks.dtype == np.uint8
    assert set(np.unique(prepared.masks)) == {0, 1}
    assert (prepared.masks.any(axis=(1, 2)) == prepared.test_labels).all()
    row = prepared.test_images[prepared.test_images["id"] == "test/contamination/001.png"].iloc[0]
    picture = Image.open(home / row["id"]).resize((16, 16), Image.Resampling.LANCZOS)
    assert (prepared.test[row["index"]] == np.asarray(picture)).all()
    assert row["source_digest"] == hashlib.sha256((home / row["id"]).read_bytes()).hexdigest()
    assert list(prepared.test_images["id"]) == sorted(prepared.test_images["id"])


def test_manifest_says_what_the_data_are(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    counts = {"train": 12, "test_normal": 5, "test_anomalous": 6}
    entry = {
        **MVTEC,
        "categories": {**MVTEC["categories"], "bottle": {"title": "B", "kind": "object", "counts": counts}},
    }
    manifest = bring(entry, "bottle", tmp_path / "root", tmp_path / "work", seeds=[0, 3]).manifest
    assert manifest.counts == {"train": 12, "test_normal": 4, "test_anomalous": 6}
    assert manifest.warnings == ["numbers of images that differ from the published ones: test_normal 4, not 5"]
    assert list(manifest.validation) == ["0", "3"]
    assert manifest.validation["0"] == validation_indices(0, "parts", "bottle", 12, 0.1)
    assert manifest.recipe["resampling"] == "lanczos"


def test_digest_ignores_place_order_and_dates_and_notices_content(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "a" / "parts")
    first = bring(MVTEC, "bottle", tmp_path / "a", tmp_path / "work_a")
    home = painters.mvtec(tmp_path / "b" / "elsewhere" / "parts")
    for path in sorted(home.rglob("*.png"), reverse=True):
        os.utime(path, (1, 1))
    second = bring({**MVTEC, "folders": ["elsewhere/parts"]}, "bottle", tmp_path / "b", tmp_path / "work_b", cores=2)
    assert first.manifest.digest == second.manifest.digest
    assert files(first.folder)["test.npy"] == files(second.folder)["test.npy"]
    painters.save(home / "ground_truth/broken/000_mask.png", painters.square(24, 2, 5))
    third = bring({**MVTEC, "folders": ["elsewhere/parts"]}, "bottle", tmp_path / "b", tmp_path / "work_b")
    assert third.manifest.digest != first.manifest.digest


def test_second_call_reads_no_image_and_new_seed_only_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    before = files(prepared.folder)
    monkeypatch.setattr(module, "layout", lambda name: pytest.fail("read the images again") if 0 else _Located(name))
    again = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert files(again.folder) == before
    more = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work", seeds=[0, 1])
    assert list(more.manifest.weak) == ["0", "1"]
    assert {k: v for k, v in files(more.folder).items() if k != "manifest.json"} == {
        k: v for k, v in before.items() if k != "manifest.json"
    }


def test_changes_behind_a_linked_folder_are_noticed_and_loops_end(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "elsewhere")
    (tmp_path / "root/parts/bottle").mkdir(parents=True)
    for name in ("train", "test", "ground_truth"):
        (tmp_path / "root/parts/bottle" / name).symlink_to(home / name)
    (home / "train/good/loop").symlink_to(home / "train")
    first = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    painters.save(home / "train/good/000.png", painters.picture(200))
    assert bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest.digest != first.digest


class _Located:
    """A layout that still finds the folder but must not list it."""

    def __init__(self, name: str) -> None:
        from harness.data.layouts.registry import layout

        self.locate = layout(name).locate

    def collect(self, *_: object) -> None:
        pytest.fail("the images were listed again")


def test_training_arrays_hold_out_what_the_manifest_says(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts", train=12)
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    everything = prepared.training_arrays(0, validation=False, weak=False)
    assert len(everything["images"]) == 12
    assert len(everything["validation"]) == len(everything["anomalous"]) == 0
    assert everything["validation"].shape[1:] == (16, 16, 3)
    parts = prepared.training_arrays(0, validation=True, weak=True)
    assert len(parts["images"]) + len(parts["validation"]) == 12
    assert len(parts["validation"]) == 5
    joined = np.concatenate([parts["images"], parts["validation"]])
    assert sorted(map(bytes, joined)) == sorted(map(bytes, prepared.train))
    moved = prepared.manifest.weak["0"]
    assert prepared.test_labels[moved].all()
    assert (parts["anomalous"] == prepared.test[moved]).all()
    assert set(prepared.test_index(0, weak=True)) == set(range(10)) - set(moved)
    assert len(prepared.test_index(0, weak=False)) == 10
    with pytest.raises(DataError, match="no weak split for seed 7"):
        prepared.test_index(7, weak=True)


@pytest.mark.parametrize(("images", "share", "count"), [(100, 0.1, 10), (20, 0.1, 5), (6, 0.1, 3), (1, 0.1, 0)])
def test_validation_is_small_but_never_tiny_nor_most(images: int, share: float, count: int) -> None:
    drawn = validation_indices(0, "d", "c", images, share)
    assert len(drawn) == count == len(set(drawn))


def test_weak_split_takes_a_share_of_the_test_set_from_the_anomalous_images() -> None:
    anomalous = np.array([False] * 60 + [True] * 40)
    drawn = weak_split(0, "d", "c", anomalous, 0.02, [])
    assert len(drawn.moved) == 2
    assert anomalous[drawn.moved].all()
    assert drawn.left_out == drawn.moved
    assert drawn.moved != weak_split(1, "d", "c", anomalous, 0.02, []).moved
    assert len(weak_split(0, "d", "c", np.array([False, True, True]), 0.9, []).moved) == 1


@pytest.mark.parametrize("seed", range(10))
def test_weak_split_of_videos_takes_whole_clips_out_of_the_test_set(seed: int) -> None:
    clips = [name for name in "abcde" for _ in range(20)]
    anomalous = np.tile(np.arange(20) >= 10, 5)
    drawn = weak_split(seed, "d", "c", anomalous, 0.15, clips)
    assert len(drawn.moved) == 15
    assert anomalous[drawn.moved].all()
    left = {clips[index] for index in drawn.left_out}
    assert len(left) == 2, "ten anomalous frames a clip"
    assert drawn.left_out == [index for index, clip in enumerate(clips) if clip in left]
    assert set(drawn.moved) < set(drawn.left_out)


def test_weak_split_takes_frames_where_no_clip_may_leave() -> None:
    drawn = weak_split(0, "d", "c", np.array([False, True] * 20), 0.02, ["only"] * 40)
    assert len(drawn.moved) == 1
    assert drawn.left_out == drawn.moved


def test_half_written_folder_is_not_opened(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    (prepared.folder / "train.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"train\.npy: missing or damaged"):
        Prepared.open(prepared.folder).train  # noqa: B018 - reading the attribute is what is tested
    (prepared.folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="no readable manifest"):
        Prepared.open(prepared.folder)


def test_manifest_lists_the_source_and_its_state(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "paint")
    (tmp_path / "root").mkdir()
    painters.archive(home, tmp_path / "root" / "bottle.tar.xz")
    prepared = bring({**MVTEC, "folders": ["."]}, "bottle", tmp_path / "root", tmp_path / "work")
    (source,) = json.loads((prepared.folder / "manifest.json").read_text())["sources"]
    assert source["name"] == "bottle.tar.xz"
    assert source["status"] == "unverified"
