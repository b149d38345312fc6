"""Doubles, sizes, gaps and greys of sixteen bits: what touches the numbers reaches every record."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from harness.data.collection import NO_MASKS, NO_NORMAL
from harness.data.decode import EMPTY, LOST, NOT_SQUARE
from harness.data.doubles import ACROSS, LABELS, WITHIN
from harness.data.images import read_image
from harness.data.pairs import DARK
from harness.errors import DataError
from tests import painters
from tests.entries import MVTEC, TABLE, bring


def test_the_same_image_in_training_and_test_is_an_error_that_names_both(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    shutil.copy(home / "train/good/003.png", home / "test/good/100.png")
    with pytest.raises(DataError, match=r"train/good/003\.png and test/good/100\.png are the same image; remove one"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    manifest = bring({**MVTEC, "doubles": "allowed"}, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.notes == [f"{ACROSS}: test/good/100.png = train/good/003.png"]


def test_a_path_listed_in_both_splits_is_an_error(tmp_path: Path) -> None:
    table = painters.table(tmp_path / "root" / "own") / "images.csv"
    table.write_text(table.read_text() + "./images/0.png,good,,test\n")
    with pytest.raises(DataError, match=r"line 12: test/images/0\.png is listed twice, as in line 2; remove one line"):
        bring(TABLE, "own", tmp_path / "root", tmp_path / "work")


def test_one_image_under_two_labels_is_an_error(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    shutil.copy(home / "test/broken/001.png", home / "test/good/100.png")
    with pytest.raises(DataError, match=r"test/broken/001\.png and test/good/100\.png are the same image"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    manifest = bring({**MVTEC, "doubles": "allowed"}, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.notes == [f"{LABELS}: test/good/100.png = test/broken/001.png"]


def test_doubles_of_one_split_are_a_warning(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    for number in range(100, 110):
        shutil.copy(home / "train/good/003.png", home / f"train/good/{number}.png")
    manifest = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    shown = ", ".join(f"train/good/{number}.png = train/good/003.png" for number in (100, 101, 102))
    assert manifest.warnings == [f"{WITHIN}: 10 ({shown}, …)"]
    assert manifest.notes == []


def test_masks_that_mark_nothing_are_told_from_defects_lost_by_the_resizing(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts", side=64)
    for number in range(3):
        painters.save(home / f"ground_truth/broken/{number:03}_mask.png", np.zeros((64, 64), np.uint8))
    for number in range(2):
        painters.save(home / f"ground_truth/contamination/{number:03}_mask.png", painters.square(64, 0, 1))
    manifest = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.warnings == [
        f"{EMPTY}: 3 (test/broken/000.png, test/broken/001.png, test/broken/002.png)",
        f"{LOST}: 2 (test/contamination/000.png, test/contamination/001.png)",
    ]
    assert manifest.notes == manifest.warnings


def test_no_normal_test_image_is_no_refusal(tmp_path: Path) -> None:
    shutil.rmtree(painters.mvtec(tmp_path / "root" / "parts") / "test/good")
    manifest = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.counts == {"train": 12, "test_normal": 0, "test_anomalous": 6}
    assert manifest.notes == [NO_NORMAL]


def test_missing_masks_are_said_where_there_could_be_some(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    manifest = bring({**MVTEC, "masks": False}, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.notes == manifest.warnings == [NO_MASKS]


def test_sizes_and_shapes_are_counted(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    for number in range(5):
        painters.save(home / f"train/good/{number:03}.png", painters.picture(number, 24)[:20])
    warnings = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest.warnings
    named = ", ".join(f"train/good/{number:03}.png 24×20" for number in range(3))
    assert warnings == [f"{NOT_SQUARE}: 5 ({named}, …)", "images of 2 sizes: 17 of 24×24, 5 of 24×20"]


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bit_grey_is_scaled_by_its_range(tmp_path: Path, suffix: str, channels: int) -> None:
    path = tmp_path / f"x.{suffix}"
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    cv2.imwrite(str(path), values)
    picture = read_image(path, 8, channels)
    assert picture.pixels.shape == (8, 8, channels)
    assert (picture.pixels[..., 0] == np.rint(values / 257)).all()
    assert not picture.dark


def test_white_may_be_another_level_and_dark_images_are_said(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts", channels=1)
    for path in [*home.glob("train/*/*.png"), *home.glob("test/*/*.png")]:
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16) * 16)
    dark = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert dark.manifest.warnings[0].startswith(f"{DARK}: 22 (")
    assert dark.train.max() < 32
    bright = bring({**MVTEC, "white_level": 4080}, "bottle", tmp_path / "root", tmp_path / "work")
    assert bright.manifest.warnings == []
    assert bright.train.max() > 200
    assert bright.manifest.digest != dark.manifest.digest


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    entry = {**MVTEC, "path": str(tmp_path / "gone")}
    with pytest.raises(DataError, match=r"parts bottle: unavailable: .*/gone: no such folder \(`path` of the entry\)"):
        bring(entry, "bottle", tmp_path / "root", tmp_path / "work")
    (tmp_path / "gone").mkdir()
    with pytest.raises(DataError, match="gone: not laid out as mvtec"):
        bring(entry, "bottle", tmp_path / "root", tmp_path / "work")
