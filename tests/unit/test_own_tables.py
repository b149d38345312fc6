"""Tables that nearly fit: refused with the nearest known name, or warned of; VisA's own table works as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.data.layouts.table import UNKNOWN_CATEGORY, UNKNOWN_COLUMN
from harness.errors import DataError
from tests import painters
from tests.entries import TABLE, bring

TWO: dict[str, Any] = {**TABLE, "categories": {"own": {"title": "Own"}, "other": {"title": "Other"}}}


def edited(root: Path, change: Callable[[list[str]], list[str]]) -> Path:
    home = painters.table(root / "own")
    table = home / "images.csv"
    table.write_text("\n".join(change(table.read_text().splitlines())) + "\n")
    return table


def with_category(*names: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [
        f"{lines[0]},category",
        *(f"{line},{names[n % len(names)]}" for n, line in enumerate(lines[1:])),
    ]


def header(text: str) -> Callable[[list[str]], list[str]]:
    return lambda lines: [text, *lines[1:]]


NEARLY: list[tuple[str, dict[str, Any], Callable[[list[str]], list[str]], str]] = [
    ("mask_path", TABLE, header("image,label,mask_path,split"), "unknown column 'mask_path'; did you mean 'mask'"),
    ("typing error", TABLE, header("image,labell,mask,split"), "unknown column 'labell'; did you mean 'label'"),
    ("image_path", TABLE, header("image_path,label,mask,split"), "unknown column 'image_path'; did you mean 'image'"),
    ("twice", TABLE, header("image,label,Image,split"), "two columns are called 'image'"),
    ("semicolons", TABLE, lambda lines: [line.replace(",", ";") for line in lines], "separated by ';'; save it with"),
    ("tabs", TABLE, lambda lines: [line.replace(",", "\t") for line in lines], r"separated by '\\t'; save it with"),
    ("a comma too many", TABLE, lambda lines: [*lines[:3], lines[3] + ",x", *lines[4:]], "line 4: 5 cells under 4 col"),
    ("near category", TWO, with_category("own", "other", "othr"), "unknown category 'othr'; did you mean 'other'"),
    ("no category", TABLE, with_category("x", "y"), "no row of the category 'own'; its categories are x, y"),
    ("no column", TWO, lambda lines: lines, "no column 'category', but the entry lists own, other"),
    ("empty", TABLE, lambda lines: [], "no column 'image'"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "change", "message"), [case[1:] for case in NEARLY], ids=[case[0] for case in NEARLY]
)
def test_a_table_that_nearly_fits_is_refused(
    tmp_path: Path, entry: dict[str, Any], change: Callable[[list[str]], list[str]], message: str
) -> None:
    table = edited(tmp_path / "root", change)
    with pytest.raises(DataError, match=message) as error:
        bring(entry, "own", tmp_path / "root", tmp_path / "work")
    assert str(error.value).startswith(str(table))
    assert "\n" not in str(error.value)


def test_spaces_and_case_mean_nothing_around_names(tmp_path: Path) -> None:
    edited(
        tmp_path / "root",
        lambda lines: [" Image , LABEL,Mask,split,Category", *(f" {line} , own " for line in lines[1:])],
    )
    assert bring(TWO, "own", tmp_path / "root", tmp_path / "work").manifest.counts["train"] == 6


def test_what_means_nothing_is_said(tmp_path: Path) -> None:
    def change(lines: list[str]) -> list[str]:
        cells = [f"{line},3,{'own' if number else 'stranger'}" for number, line in enumerate(lines[1:])]
        return [f"{lines[0]},camera,category", *cells]

    edited(tmp_path / "root", change)
    manifest = bring(TABLE, "own", tmp_path / "root", tmp_path / "work").manifest
    assert manifest.counts["train"] == 5
    assert manifest.warnings == [f"{UNKNOWN_CATEGORY}: stranger", f"{UNKNOWN_COLUMN}: camera"]
    assert manifest.notes == [f"{UNKNOWN_CATEGORY}: stranger"]


def test_a_table_in_another_encoding_is_named(tmp_path: Path) -> None:
    table = edited(tmp_path / "root", lambda lines: lines)
    table.write_bytes(table.read_bytes() + "images/ä.png,good,,train\n".encode("utf-16"))
    with pytest.raises(DataError, match=r"images\.csv: no readable CSV file in UTF-8"):
        bring(TABLE, "own", tmp_path / "root", tmp_path / "work")


def test_paths_with_backslashes_are_paths(tmp_path: Path) -> None:
    edited(tmp_path / "root", lambda lines: [line.replace("images/", "images\\") for line in lines])
    assert bring(TABLE, "own", tmp_path / "root", tmp_path / "work").manifest.warnings == []


def test_visas_own_table_works_as_it_is(tmp_path: Path) -> None:
    home = painters.visa(tmp_path / "root" / "visa")
    entry = {"id": "visa", "title": "VisA", "layout": "table", "access": "open", "table": "split_csv/1cls.csv",
             "mask_values": "ids", "categories": {name: {"title": name} for name in ("candle", "cashew")}}  # fmt: skip
    for name in ("candle", "cashew"):
        prepared = bring(entry, name, tmp_path / "root", tmp_path / "work")
        assert prepared.manifest.counts == {"train": 5, "test_normal": 2, "test_anomalous": 2}
        assert prepared.manifest.warnings == []
        assert all(f"/{name}/" in row for row in prepared.images["id"])
        assert prepared.masks is not None
        assert prepared.masks.sum(axis=(1, 2))[prepared.test_labels].tolist() == [64, 64], "ids 1 and 3 both count"
    assert (home / "split_csv/1cls.csv").read_text().startswith("object,split,label,image,mask\n")
