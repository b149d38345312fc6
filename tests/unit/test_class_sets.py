"""MNIST, Fashion-MNIST, CIFAR-10 and class-folder trees under both class protocols."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.data.layouts.class_tree import LOSSY
from harness.data.layouts.idx import read_idx
from harness.errors import DataError
from tests import painters
from tests.entries import BATCHES, DIGITS, IDX, bring


@pytest.mark.parametrize("zipped", [True, False])
def test_one_class_trains_on_its_class_and_tests_on_all(tmp_path: Path, zipped: bool) -> None:
    painters.idx(tmp_path / "root" / "numbers", zipped)
    prepared = bring(IDX, "3", tmp_path / "root", tmp_path / "work", size=32, channels=1)
    images, labels = painters.digits(60)
    assert (prepared.train[:, 2:30, 2:30, 0] == images[labels == 3]).all()
    assert prepared.train[:, :2].max() == prepared.train[:, :, 30:].max() == 0, "the padding is background"
    assert prepared.test.shape == (30, 32, 32, 1)
    assert (prepared.test_labels == (painters.digits(30, 100)[1] != 3)).all()
    assert prepared.masks is None
    assert (prepared.train_labels == 0).all()
    assert prepared.manifest.counts == {"train": 6, "test_normal": 3, "test_anomalous": 27}


def test_leave_one_out_trains_on_the_others_with_their_labels(tmp_path: Path) -> None:
    painters.idx(tmp_path / "root" / "numbers")
    entry = {**IDX, "class_protocol": "leave_one_out"}
    prepared = bring(entry, "3", tmp_path / "root", tmp_path / "work", size=32, channels=1)
    assert prepared.manifest.counts == {"train": 54, "test_normal": 27, "test_anomalous": 3}
    assert sorted(np.unique(prepared.train_labels)) == list(range(9))
    original = painters.digits(60)[1]
    assert (prepared.train_labels == np.unique(original[original != 3], return_inverse=True)[1]).all()
    assert (prepared.test_labels == (painters.digits(30, 100)[1] == 3)).all()


def test_python_batches_keep_colours_and_order(tmp_path: Path) -> None:
    painters.cifar_batches(tmp_path / "root" / "colours" / "cifar-10-batches-py")
    prepared = bring(BATCHES, "1", tmp_path / "root", tmp_path / "work", size=32)
    assert prepared.manifest.counts == {"train": 10, "test_normal": 2, "test_anomalous": 18}
    assert (prepared.train[0] == painters.picture(1, 32)).all()
    assert (prepared.test[4] == painters.picture(104, 32)).all()


def test_class_tree_gives_the_same_images_as_batches_would(tmp_path: Path) -> None:
    painters.class_tree(tmp_path / "root" / "colours", list(DIGITS))
    prepared = bring(BATCHES, "2", tmp_path / "root", tmp_path / "work", size=32)
    assert prepared.manifest.counts == {"train": 4, "test_normal": 2, "test_anomalous": 18}
    assert (prepared.train[1] == painters.picture(21, 32)).all()
    assert prepared.manifest.notes == []


def test_lossy_copies_say_so_in_every_record(tmp_path: Path) -> None:
    painters.class_tree(tmp_path / "root" / "colours", list(DIGITS), "jpg")
    prepared = bring(BATCHES, "2", tmp_path / "root", tmp_path / "work", size=32)
    assert prepared.manifest.notes == [LOSSY]
    entry = {**BATCHES, "id": "photos", "lossless": False, "folders": ["colours"]}
    assert bring(entry, "2", tmp_path / "root", tmp_path / "work").manifest.notes == []


@pytest.mark.parametrize("folders", [["T-shirt_top", "Coat"], ["T-shirt-top", "Coat"], ["0", "1"]])
def test_class_folders_of_names_that_no_folder_can_have(tmp_path: Path, folders: list[str]) -> None:
    painters.class_tree(tmp_path / "root" / "clothes", folders)
    entry = {**BATCHES, "id": "clothes", "categories": {"0": {"title": "T-shirt/top"}, "1": {"title": "Coat"}}}
    prepared = bring(entry, "0", tmp_path / "root", tmp_path / "work", size=32)
    assert prepared.manifest.counts == {"train": 4, "test_normal": 2, "test_anomalous": 2}
    assert sorted(set(prepared.test_images["label"])) == ["Coat", "T-shirt/top"]


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    def spoil(folder: Path) -> None:
        path = folder / f"{name}.gz"
        path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))

    return spoil


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
BAD_IDX: list[tuple[str, Callable[[Path], object], str]] = [
    ("short", rewrite(IMAGES, lambda b: b[:-5]), rf"{IMAGES}\.gz: its header promises 47040 bytes, it holds 47035"),
    ("long", rewrite(IMAGES, lambda b: b + b"1"), r"promises 47040 bytes, it holds more than 47040"),
    ("giant", rewrite(IMAGES, lambda b: b[:4] + struct.pack(">3I", 2**31, 2**20, 9) + b[16:]), "which no such set has"),
    ("magic", rewrite(IMAGES, lambda b: b"\x89PNG" + b[4:]), "not an IDX file"),
    ("floats", rewrite(IMAGES, lambda b: b"\0\0\x0d\3" + b[4:]), "not an IDX file of unsigned bytes"),
    ("no header", rewrite(IMAGES, lambda b: b[:9]), "truncated or damaged"),
    ("label", rewrite(LABELS, lambda b: b[:8] + b"\x0b" + b[9:]), r"idx1-ubyte\.gz: image 0 has label 11, outside 0–9"),
    ("fewer labels", rewrite(LABELS, lambda b: b[:4] + struct.pack(">I", 59) + b[8:-1]), r"\.gz: 59 labels of 60 im"),
    ("cut gzip", lambda f: (f / f"{IMAGES}.gz").write_bytes((f / f"{IMAGES}.gz").read_bytes()[:300]), "truncated"),
    ("dimensions", rewrite(IMAGES, lambda b: idx_flat(b)), rf"{IMAGES}\.gz: images must have three dimensions, not 1"),
    ("table of labels", rewrite(LABELS, lambda b: b[:3] + b"\2" + b[4:8] + b"\0\0\0\1" + b[8:]), "must have one dim"),
]  # fmt: skip


def idx_flat(content: bytes) -> bytes:
    return painters.idx_bytes(np.frombuffer(content[16:], np.uint8))


@pytest.mark.parametrize(("spoil", "message"), [case[1:] for case in BAD_IDX], ids=[case[0] for case in BAD_IDX])
def test_bad_idx_files_are_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(painters.idx(tmp_path / "root" / "numbers"))
    with pytest.raises(DataError, match=message):
        bring(IDX, "3", tmp_path / "root", tmp_path / "work", size=32, channels=1)
    assert not list((tmp_path / "work").glob("data/numbers/*"))


def test_idx_shape_comes_from_the_header(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "x").write_bytes(painters.idx_bytes(array))
    assert (read_idx(tmp_path / "x") == array).all()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([1, 2]), "no CIFAR-10 batch"),
        (pickle.dumps({b"labels": [1]}), "no CIFAR-10 batch"),
        (pickle.dumps({b"data": np.zeros((1, 3072)), b"labels": [1]}), "pixels float64"),
        (
            pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [1, 2]}),
            "data_batch_2: 2 labels of 1 images",
        ),
        (
            pickle.dumps({b"data": np.zeros((1, 3072), np.uint8), b"labels": [12]}),
            "data_batch_2: image 0 has label 12, outside 0–9",
        ),
        (b"", "truncated or damaged pickle"),
    ],
)
def test_bad_batches_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    folder = painters.cifar_batches(tmp_path / "root" / "colours")
    (folder / "data_batch_2").write_bytes(content)
    with pytest.raises(DataError, match=message):
        bring(BATCHES, "1", tmp_path / "root", tmp_path / "work", size=32)


def test_bad_trees_are_named(tmp_path: Path) -> None:
    folder = painters.class_tree(tmp_path / "root" / "colours", list(DIGITS))
    painters.save(folder / "train/unicorn/0.png", painters.picture(1))
    with pytest.raises(DataError, match="unicorn: a class that no category names"):
        bring(BATCHES, "2", tmp_path / "root", tmp_path / "work")
    (folder / "train/unicorn/0.png").unlink()
    (folder / "train/unicorn").rmdir()
    painters.save(folder / "test/4/0001.jpg", painters.picture(1))
    with pytest.raises(DataError, match=r"test/4/0001\.\*: two images have this name"):
        bring(BATCHES, "2", tmp_path / "root", tmp_path / "work")
    for path in (folder / "test/4").iterdir():
        path.unlink()
    with pytest.raises(DataError, match="test/4: no image in this class"):
        bring(BATCHES, "2", tmp_path / "root", tmp_path / "work")
