"""Every file below a dataset belongs to a row, or is counted and named."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.data.collection import UNUSED_FILES, UNUSED_IMAGES, Collection
from harness.data.images import SUFFIXES
from harness.data.layouts.registry import layout
from harness.data.prepare import _collect
from harness.errors import DataError
from tests import painters
from tests.entries import DIGITS, IDX, LAG, MVTEC, SCENES, TABLE, bring, dataset

TREE = {**IDX, "id": "tree", "layout": "class_tree", "categories": {k: DIGITS[k] for k in "01"}}


def warnings(entry: dict[str, Any], category: str, tmp_path: Path) -> list[str]:
    found: list[str] = bring(entry, category, tmp_path / "root", tmp_path / "work").manifest.warnings
    return [line for line in found if line.startswith((UNUSED_FILES, UNUSED_IMAGES))]


LAYOUTS: list[tuple[str, dict[str, Any], str, Callable[[Path], Path], str]] = [
    ("mvtec", MVTEC, "bottle", lambda root: painters.mvtec(root / "parts"), "train/extra.png"),
    ("mvtec, other folder", MVTEC, "bottle", lambda root: painters.mvtec(root / "parts"), "train/bad/0.png"),
    ("mvtec, beside", MVTEC, "bottle", lambda root: painters.mvtec(root / "parts"), "more/deep/0.jpg"),
    ("class_tree", TREE, "1", lambda root: painters.class_tree(root / "tree", ["0", "1"]), "train/0.png"),
    ("table", TABLE, "own", lambda root: painters.table(root / "own"), "images/9.png"),
    ("shanghaitech", SCENES, "01", lambda root: painters.shanghaitech(root / "campus"), "testing/frames/loose.png"),
    ("lag", LAG, "fundus", lambda root: painters.lag(root / "eyes"), "non_glaucoma/image/0003.txt"),
    ("idx", IDX, "3", lambda root: painters.idx(root / "numbers"), "scan.png"),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "category", "paint", "extra"), [case[1:] for case in LAYOUTS],
                         ids=[case[0] for case in LAYOUTS])  # fmt: skip
def test_a_file_that_no_row_takes_is_named(
    tmp_path: Path, entry: dict[str, Any], category: str, paint: Callable[[Path], Path], extra: str
) -> None:
    home = paint(tmp_path / "root")
    assert warnings(entry, category, tmp_path) == [], "the official files are all accounted for"
    if extra.endswith("txt"):
        (home / extra).write_text("a note")
    else:
        painters.save(home / extra, painters.picture(201))
    (line,) = warnings(entry, category, tmp_path)
    assert line == f"{UNUSED_FILES if extra.endswith('txt') else UNUSED_IMAGES}: {line.partition(': ')[2]}"
    assert extra.endswith(line.partition(": ")[2])
    assert warnings({**entry, "ignore": [f"*{Path(extra).name}"]}, category, tmp_path) == []


def test_images_left_out_reach_every_record_and_are_counted(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    for number in range(200):
        (home / f"train/{number:03}.png").write_bytes(b"")
    (home / "train/good/000.heic").write_bytes(b"")
    manifest = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    many = f"{UNUSED_IMAGES}: 200 (train/000.png, train/001.png, train/002.png, …)"
    assert manifest.warnings == [many, f"{UNUSED_FILES}: train/good/000.heic"]
    assert manifest.notes == [many]


def test_litter_and_papers_are_passed_over(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    for name in (".DS_Store", "train/good/Thumbs.db", "test/._001.png", "__MACOSX/x.png", "README.md", "LICENCE"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_bytes(b"x")
    assert warnings(MVTEC, "bottle", tmp_path) == []
    (home / "train/good/.hidden.png").write_bytes(b"x")
    assert warnings(MVTEC, "bottle", tmp_path) == [f"{UNUSED_FILES}: train/good/.hidden.png"]


@pytest.mark.parametrize("suffix", [".jfif", ".JPG", ".ppm", ".tga", ".gif", ".jp2", ".webp", ".pcx", ".sgi"])
def test_every_format_that_pillow_reads_is_an_image(tmp_path: Path, suffix: str) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts", train=6)
    for number in range(3):
        path = home / f"train/good/{number:03}.png"
        with Image.open(path) as image:
            image.save(path.with_suffix(suffix))
        path.unlink()
    assert suffix.lower() in SUFFIXES
    manifest = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.counts["train"] == 6
    assert manifest.warnings == []


def test_sub_folders_are_read_with_their_masks(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts", train=6)
    for path, mark in ((home / "train/good", ""), (home / "test/broken", ""), (home / "ground_truth/broken", "_mask")):
        (path / "batch1/a").mkdir(parents=True)
        for number in range(3):
            (path / f"{number:03}{mark}.png").rename(path / f"batch1/a/{number:03}{mark}.png")
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert prepared.manifest.counts == {"train": 6, "test_normal": 4, "test_anomalous": 6}
    assert prepared.manifest.warnings == []
    assert "train/good/batch1/a/000.png" in set(prepared.images["id"])
    assert prepared.masks is not None
    assert (prepared.masks.any(axis=(1, 2)) == prepared.test_labels).all()


@pytest.mark.parametrize("name", ["OK", "Normal", "GOOD", "0"])
@pytest.mark.parametrize("masks", [True, False])
def test_names_of_normal(tmp_path: Path, name: str, masks: bool) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    for split in ("train", "test"):
        (home / split / "good").rename(home / split / name)
    manifest = bring({**MVTEC, "masks": masks}, "bottle", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.counts == {"train": 12, "test_normal": 4, "test_anomalous": 6}
    assert manifest.notes == ([] if masks else ["no masks: localisation is not measured"])


@pytest.mark.parametrize("name", ["OK", "Normal ", "good", "0"])
def test_labels_of_normal_mean_the_same(tmp_path: Path, name: str) -> None:
    home = painters.table(tmp_path / "root" / "own")
    text = (home / "images.csv").read_text()
    (home / "images.csv").write_text(text.replace(",good,", f",{name},").replace(",train", ",Train"))
    counts = bring(TABLE, "own", tmp_path / "root", tmp_path / "work").manifest.counts
    assert counts == {"train": 6, "test_normal": 2, "test_anomalous": 2}


def test_empty_masks_of_normal_images_are_paired_and_marked_ones_refused(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    for number in range(4):
        painters.save(home / f"ground_truth/good/{number:03}.png", np.zeros((24, 24), np.uint8))
    assert bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest.warnings == []
    painters.save(home / "ground_truth/good/002.png", painters.square(24, 2, 5))
    with pytest.raises(DataError, match=r"good/002\.png: marks pixels of 002\.png, whose label is 'good'"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")


def test_names_may_have_either_unicode_form(tmp_path: Path) -> None:
    home, forms = painters.mvtec(tmp_path / "root" / "parts"), ("NFC", "NFD")
    for form, path in zip(forms, ("test/broken/000.png", "ground_truth/broken/000_mask.png"), strict=True):
        name = unicodedata.normalize(form, "Größe é") + ("_mask" if "mask" in path else "")
        (home / path).rename((home / path).with_stem(name))
    for form, path in zip(forms, ("test/broken", "ground_truth/broken"), strict=True):
        (home / path).rename((home / path).with_name(unicodedata.normalize(form, "gebrochén")))
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert prepared.manifest.warnings == []
    assert unicodedata.normalize("NFC", "test/gebrochén/Größe é.png") in set(prepared.images["id"])


def test_a_table_may_name_its_files_in_either_unicode_form(tmp_path: Path) -> None:
    home = painters.table(tmp_path / "root" / "own")
    (home / "images/0.png").rename(home / "images" / unicodedata.normalize("NFD", "é.png"))
    text = (home / "images.csv").read_text().replace("images/0.png", "./images//é.png")
    (home / "images.csv").write_text(unicodedata.normalize("NFC", text))
    images = bring(TABLE, "own", tmp_path / "root", tmp_path / "work").images
    assert unicodedata.normalize("NFC", "train/images/é.png") in set(images["id"])
    (home / "images.csv").write_text(text + unicodedata.normalize("NFD", "images/é.png,good,,train\n"))
    with pytest.raises(DataError, match=r"line 12: .* is listed twice, as in line 2"):
        bring(TABLE, "own", tmp_path / "root", tmp_path / "work")


@pytest.mark.parametrize(
    ("name", "message"),
    [(b"\xff\xfe.png", r"train/good/\\xff\\xfe\.png: a file name that is not UTF-8; rename it"),
     (b"a\nb.png", r"train/good/a\?b\.png: a file name with control characters; rename it")],
)  # fmt: skip
def test_names_that_no_record_can_carry_are_refused_in_one_line(tmp_path: Path, name: bytes, message: str) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    with open(os.fsencode(home / "train/good") + b"/" + name, "wb") as file:  # noqa: PTH123 - Path cannot say it
        file.write(b"x")
    with pytest.raises(DataError, match=message) as error:
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert str(error.value).isprintable()


def test_a_link_that_leads_nowhere_is_no_missing_row(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    (home / "train/good/900.png").symlink_to(home / "gone.png")
    with pytest.raises(DataError, match=r"train/good/900\.png: cannot be read \(No such file"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")


def test_a_pipe_is_no_file_and_no_hang(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    os.mkfifo(home / "train/good/900.png")
    with pytest.raises(DataError, match=r"train/good/900\.png: neither a file nor a folder; remove it"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")


def test_several_images_in_one_file_are_refused(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    pages = [Image.fromarray(painters.picture(number)) for number in range(3)]
    pages[0].save(home / "train/good/900.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"900\.tif: 3 images in one file; save each as a file of its own"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")


# Random trees and tables: rows and named leftovers together are the files.

NAMES = st.sampled_from(["a", "b", "good", "OK", "cut", "train", "test", "ground_truth", "x y", "é"])
ENDS = st.sampled_from([".png", ".PNG", ".jfif", ".txt", ".heic", ".csv", "_mask.png", ""])
FILES = st.lists(st.tuples(st.lists(NAMES, max_size=3), NAMES, ENDS).map(lambda p: "/".join([*p[0], p[1] + p[2]])))


def written(root: Path, names: list[str]) -> set[str]:
    """Write empty files, as far as their names allow each other, and return those that are there."""
    for name in names:
        path = root / name
        if not any(parent.is_file() for parent in path.parents) and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def accounted(found: Collection, home: Path) -> set[str]:
    """Return every file that a row takes, that is another category's, or that a remark names."""
    rows = {path for chunk in found.chunks for path in chunk.files} | set(found.others)
    named = {home / remark.example for remark in found.remarks}
    assert not rows & named, "a file both belongs to a row and is left over"
    return {path.relative_to(home).as_posix() for path in rows | named}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=FILES)
def test_in_any_tree_rows_and_leftovers_are_all_files(
    tmp_path_factory: pytest.TempPathFactory, files: list[str]
) -> None:
    home = painters.mvtec(tmp_path_factory.mktemp("tree"), train=2)
    (home / "license.txt").unlink()
    everything = written(home, files)
    found = collected(MVTEC, "bottle", home)
    if found is not None:
        assert accounted(found, home) == everything


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=FILES,
    cells=st.lists(
        st.tuples(NAMES, st.sampled_from(["", "a.png", "images/1.png"]), st.sampled_from(["train", "test"]))
    ),
    category=st.sampled_from([None, "own", " own", "other"]),
)
def test_in_any_table_rows_and_leftovers_are_all_files(
    tmp_path_factory: pytest.TempPathFactory, files: list[str], cells: list[tuple[str, str, str]], category: str | None
) -> None:
    home = painters.table(tmp_path_factory.mktemp("table"))
    everything = written(home, files)
    with (home / "images.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    pictures = sorted(name for name in everything if name.endswith(".png"))
    lines += [[pictures[len(label) % len(pictures)], label, mask, split] for label, mask, split in cells]
    if category is not None:
        lines = [[*line, "category" if not number else "own" if number % 2 else category]
                 for number, line in enumerate(lines)]  # fmt: skip
    with (home / "images.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    found = collected(TABLE, "own", home)
    if found is not None:
        found.remarks = [remark for remark in found.remarks if remark.text in (UNUSED_FILES, UNUSED_IMAGES)]
        assert accounted(found, home) == everything


def collected(entry: dict[str, Any], category: str, home: Path) -> Collection | None:
    """Return what a layout finds, with a remark for each file that nobody takes; None where it is refused by name."""
    source = {"layout": entry["layout"], "folder": home, "notes": [], "sources": []}
    assert layout(entry["layout"]).locate(home.parent if entry is MVTEC else home, dataset(entry), category) == home
    try:
        return _collect(dataset(entry), category, source)
    except DataError as error:
        event("refused")
        message = str(error)
    assert "\n" not in message
    assert str(home) in message
    return None
