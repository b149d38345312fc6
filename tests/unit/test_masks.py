"""What a mask may be: levels, ids, colours, transparency; whatever leaves open what is marked is refused or said."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.masks import INVERTED, NEARLY_ALL, SOFT, read_mask
from harness.errors import DataError
from tests import painters
from tests.entries import MVTEC, bring

BOX = np.zeros((64, 64), bool)
BOX[10:30, 20:40] = True
HALVES = np.zeros((64, 64), np.uint8)  # the box, its upper half 1, its lower half 2
HALVES[10:20, 20:40], HALVES[20:30, 20:40] = 1, 2


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> Path:
    Image.fromarray(pixels, mode).save(path)
    return path


def palette(colours: list[int], indices: np.ndarray) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8), "P")
    image.putpalette(colours)
    return image


def rgba(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([colour, alpha]).astype(np.uint8)


WHITE = np.full((64, 64, 3), 255)
RED = np.zeros((64, 64, 3), np.uint8)
RED[BOX] = (200, 0, 0)
RED[:5, :5] = (0, 180, 0)
TWO_COLOURS = RED.any(axis=-1)
READ: dict[str, tuple[Image.Image, np.ndarray]] = {
    "0 and 255": (Image.fromarray(BOX.astype(np.uint8) * 255), BOX),
    "0 and 1": (Image.fromarray(BOX.astype(np.uint8)), BOX),
    "one bit": (Image.fromarray(BOX), BOX),
    "16 bits": (Image.fromarray(BOX.astype(np.uint16) * 40000), BOX),
    "floats": (Image.fromarray(BOX.astype(np.float32) * 0.004), BOX),
    "empty": (Image.fromarray(np.zeros((64, 64), np.uint8)), np.zeros((64, 64), bool)),
    "palette of ids": (palette([0, 0, 0, 1, 1, 1, 2, 2, 2], HALVES), BOX),
    "palette of colours": (palette([0, 0, 0, 200, 0, 0, 0, 90, 0], HALVES), BOX),
    "colours": (Image.fromarray(RED), TWO_COLOURS),
    "grey as RGB": (Image.fromarray(np.dstack([BOX * 255] * 3).astype(np.uint8)), BOX),
    "white, box in alpha": (Image.fromarray(rgba(WHITE, BOX * 255)), BOX),
    "black, box in alpha": (Image.fromarray(rgba(WHITE * 0, BOX * 255)), BOX),
    "opaque RGBA": (Image.fromarray(rgba(RED, np.full((64, 64), 255))), TWO_COLOURS),
    "margin in alpha, box in white": (
        Image.fromarray(rgba(np.dstack([BOX * 255] * 3), np.pad(np.full((60, 60), 255), 2))), BOX
    ),
    "grey with alpha": (Image.fromarray(rgba(WHITE, BOX * 255)).convert("LA"), BOX),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("size", [64, 16])
def test_what_is_marked(tmp_path: Path, name: str, size: int) -> None:
    image, expected = READ[name]
    path = tmp_path / ("m.tif" if image.mode == "F" else "m.png")
    image.save(path)
    mask = read_mask(path, size, (64, 64))
    assert mask.pixels.dtype == np.uint8
    assert (mask.pixels == expected[64 // size // 2 :: 64 // size, 64 // size // 2 :: 64 // size]).all()
    assert mask.marked == expected.any()
    assert mask.remarks == ()


RAMP = np.tile(np.arange(64) * 4, (64, 1)).astype(np.uint8)
BLOB = np.clip(255 - 8 * np.hypot(*(np.mgrid[:64, :64] - 32)), 0, 255).astype(np.uint8)
REFUSED: dict[str, tuple[np.ndarray, str]] = {
    "ids": (HALVES, "a mask with the values 0, 1, 2; write `mask_values: ids`"),
    "ids without background": (HALVES.clip(1), "a mask with the values 1, 2;"),
    "ignored pixels": (np.where(BOX, 255, np.where(RAMP > 250, 128, 0)).astype(np.uint8), "the values 0, 128, 255"),
    "heat map": (BLOB, "shades, most of them neither dark nor bright; write `mask_values: half`"),
    "ramp": (RAMP, "shades, most of them neither dark nor bright"),
    "negative": (BOX.astype(np.int32) - 1, "values that are negative"),
    "not a number": (np.where(BOX, np.nan, 0).astype(np.float32), "values that are negative or no numbers"),
    "colours without background": (np.where(BOX[..., None], (200, 0, 0), (0, 0, 99)).astype(np.uint8), "no black back"),
    "wholly transparent": (rgba(RED, np.zeros((64, 64))), "a wholly transparent mask"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_leaves_open_what_is_marked_is_refused(tmp_path: Path, name: str) -> None:
    pixels, message = REFUSED[name]
    path = save(tmp_path / "m.tif", pixels)
    with pytest.raises(DataError, match=re.escape(message)) as error:
        read_mask(path, 16, (64, 64))
    assert str(error.value).startswith(f"{path}: ")
    assert "; " in str(error.value)


def test_cmyk_and_sixteen_bit_colours_are_no_masks(tmp_path: Path) -> None:
    import cv2

    Image.new("CMYK", (64, 64)).save(tmp_path / "m.tif")
    with pytest.raises(DataError, match="a CMYK mask; save it as grey"):
        read_mask(tmp_path / "m.tif", 16, None)
    cv2.imwrite(str(tmp_path / "m.png"), RED.astype(np.uint16))
    with pytest.raises(DataError, match="a 16-bit colour mask; save it as grey"):
        read_mask(tmp_path / "m.png", 16, None)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_ids_all_count_where_the_entry_says_so(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(HALVES) if mode == "L" else palette([9, 9, 9, 200, 0, 0, 0, 0, 0], HALVES)
    image.save(tmp_path / "m.png")
    assert (read_mask(tmp_path / "m.png", 64, None, "ids").pixels == BOX).all()


def test_half_of_the_maximum_counts_where_the_entry_says_so(tmp_path: Path) -> None:
    mask = read_mask(save(tmp_path / "m.png", BLOB), 64, None, "half")
    assert (mask.pixels == (BLOB > 127)).all()
    assert mask.remarks == ()


def test_soft_edges_are_read_and_said(tmp_path: Path) -> None:
    soft = Image.fromarray(BOX.astype(np.uint8) * 255).resize((200, 200), Image.Resampling.BICUBIC)
    soft.save(tmp_path / "m.png")
    mask = read_mask(tmp_path / "m.png", 64, None)
    assert (mask.pixels == BOX).mean() > 0.99
    assert mask.remarks == (SOFT,)


def test_jpeg_masks_are_read_unless_they_hold_noise_only(tmp_path: Path) -> None:
    Image.fromarray(BOX.astype(np.uint8) * 255).save(tmp_path / "m.jpg", quality=80)
    assert (read_mask(tmp_path / "m.jpg", 64, None).pixels == BOX).mean() > 0.99
    Image.fromarray(np.random.default_rng(0).integers(0, 5, (64, 64)).astype(np.uint8)).save(tmp_path / "n.jpg")
    with pytest.raises(DataError, match="no value above 4 of 255, which may be noise; save it as PNG"):
        read_mask(tmp_path / "n.jpg", 64, None)


@pytest.mark.parametrize(
    ("marked", "remark"),
    [(~BOX, NEARLY_ALL), (np.ones((64, 64), bool), NEARLY_ALL), (~np.pad(np.ones((40, 40), bool), 12), INVERTED)],
)
def test_a_mask_that_looks_inverted_is_said(tmp_path: Path, marked: np.ndarray, remark: str) -> None:
    assert read_mask(save(tmp_path / "m.png", marked.astype(np.uint8) * 255), 16, None).remarks == (remark,)


def test_a_large_defect_is_no_cause_for_a_remark(tmp_path: Path) -> None:
    marked = np.pad(np.ones((56, 56), bool), 4)
    assert read_mask(save(tmp_path / "m.png", marked.astype(np.uint8) * 255), 16, None).remarks == ()


def test_painted_mask_keeps_its_place(tmp_path: Path) -> None:
    mask = read_mask(painters.save(tmp_path / "m.png", painters.square(32, 8, 24)), 16, (32, 32))
    assert mask.pixels.sum() == 64
    assert mask.pixels[4:12, 4:12].all()


def test_a_padded_image_keeps_its_mask_in_place(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts", side=24)
    prepared = bring({**MVTEC, "pad": 4}, "bottle", tmp_path / "root", tmp_path / "work", size=32)
    assert prepared.masks is not None
    assert (prepared.test[:, :4] == 0).all()
    rows = prepared.test_images
    for name in ("broken", "contamination"):
        row = rows[rows["id"] == f"test/{name}/001.png"].index[0]
        truth = np.asarray(Image.open(home / f"ground_truth/{name}/001_mask.png")) > 0
        assert (prepared.masks[row] == np.pad(truth, 4)).all()
