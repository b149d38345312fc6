"""Three small sets with the shapes of real ones: every image, mask and gap is accounted for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.config import ROOT
from harness.data.collection import NO_NORMAL
from harness.data.decode import EMPTY, LOST, NOT_SQUARE
from harness.data.prepared import Prepared
from tests.entries import bring

SETS = ROOT / "tests" / "data" / "sets"
HAZELNUT: dict[str, Any] = {
    "id": "hazelnut", "title": "Hazelnut", "layout": "mvtec", "access": "open", "path": str(SETS / "hazelnut"),
    "categories": {"nut": {"title": "Nut"}},
}  # fmt: skip
STRIPS: dict[str, Any] = {**HAZELNUT, "id": "strips", "path": str(SETS / "strips"), "categories": {"s": {"title": "S"}}}
SCANS: dict[str, Any] = {
    **HAZELNUT, "id": "scans", "layout": "table", "path": str(SETS / "scans"), "table": "split.csv",
    "mask_values": "ids", "white_level": 4095, "categories": {"arms": {"title": "Arms"}, "legs": {"title": "Legs"}},
}  # fmt: skip


def prepared(entry: dict[str, Any], category: str, tmp_path: Path, **how: Any) -> Prepared:
    return bring(entry, category, tmp_path, tmp_path / "work", **how)


def test_hazelnuts(tmp_path: Path) -> None:
    data = prepared(HAZELNUT, "nut", tmp_path, size=64)
    assert data.manifest.counts == {"train": 6, "test_normal": 2, "test_anomalous": 3}
    assert data.manifest.notes == []
    assert data.manifest.warnings == ["images of 2 sizes: 10 of 102×102, 1 of 102×104",
                                         f"{NOT_SQUARE}: train/good/01.jpg 102×104"]  # fmt: skip
    assert data.masks is not None
    shares = [
        np.asarray(Image.open(path)).astype(bool).mean() for path in sorted(SETS.glob("hazelnut/ground_truth/*/*"))
    ]
    assert data.masks[data.test_labels].mean(axis=(1, 2)) == pytest.approx(shares, abs=0.01)


def test_tall_strips_with_empty_masks(tmp_path: Path) -> None:
    data = prepared(STRIPS, "s", tmp_path, size=32)
    assert data.manifest.counts == {"train": 6, "test_normal": 3, "test_anomalous": 5}
    empty, lost = f"{EMPTY}: test/ko/2.BMP", f"{LOST}: test/ko/3.BMP"
    assert data.manifest.notes == [lost, empty]
    assert data.manifest.warnings[:2] == [lost, empty]
    assert data.manifest.warnings[2].startswith(f"{NOT_SQUARE}: 14 (test/ko/2.BMP 48×184, ")
    assert data.manifest.warnings[3].startswith("images of 6 sizes: ")
    assert data.masks is not None
    assert data.masks.any(axis=(1, 2)).sum() == 3
    assert data.train.shape == (6, 32, 32, 3)


def test_scans_of_twelve_bits_whose_masks_hold_ids(tmp_path: Path) -> None:
    data = prepared(SCANS, "arms", tmp_path, size=60, channels=1)
    assert data.manifest.counts == {"train": 5, "test_normal": 2, "test_anomalous": 4}
    assert data.manifest.notes == []
    assert 80 < data.train.mean() < 150
    assert data.masks is not None
    whole = [np.asarray(Image.open(path)).astype(bool).mean() for path in sorted(SETS.glob("scans/arms/truth/*"))]
    assert data.masks[data.test_labels].mean(axis=(1, 2)) == pytest.approx(whole, abs=0.02)


def test_scans_without_a_normal_test_image(tmp_path: Path) -> None:
    data = prepared(SCANS, "legs", tmp_path)
    assert data.manifest.counts == {"train": 5, "test_normal": 0, "test_anomalous": 6}
    assert data.manifest.notes == [NO_NORMAL]


@pytest.mark.parametrize("entry", [HAZELNUT, STRIPS, SCANS], ids=lambda entry: entry["id"])
def test_another_place_gives_the_same_digest(tmp_path: Path, entry: dict[str, Any]) -> None:
    category = next(iter(entry["categories"]))
    copy = shutil.copytree(entry["path"], tmp_path / "copy")
    here = prepared(entry, category, tmp_path / "a").manifest.digest
    assert prepared({**entry, "path": str(copy)}, category, tmp_path / "b").manifest.digest == here
