"""Whatever is wrong with a folder of images ends in one line that names the file, and leaves nothing behind."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data import atomic
from harness.data.images import read_image
from harness.data.masks import read_mask
from harness.errors import DataError
from tests import painters
from tests.entries import MVTEC, bring

TEST = "test/broken/001.png"
MASK = "ground_truth/broken/001_mask.png"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        for path in (home / name for name in names):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def add(name: str, pixels: np.ndarray) -> Callable[[Path], object]:
    return lambda home: painters.save(home / name, pixels)


BROKEN: list[tuple[str, Callable[[Path], object], str]] = [
    ("truncated image", lambda home: truncate(home / TEST), r"broken/001\.png: truncated or damaged"),
    ("truncated mask", lambda home: truncate(home / MASK), r"001_mask\.png: truncated or damaged"),
    ("no image at all", lambda home: (home / TEST).write_bytes(b"hello"), r"damaged image \(no image\)"),
    ("mask without image", remove(TEST), r"001_mask\.png: a mask without an image"),
    ("image without mask", remove(MASK), r"001\.png: no mask"),
    ("masks without images", lambda home: shutil.rmtree(home / "test/broken"), "truth/broken: masks without images"),
    ("no masks folder", remove("ground_truth"), r"000\.png: no mask"),
    ("mask of another size", add(MASK, painters.square(20, 4, 9)), "mask is 20×20"),
    ("two images of one name", add("test/broken/001.jpg", painters.picture(1)), "two images"),
    ("two masks", add("ground_truth/broken/001.png", painters.square(24, 1, 3)), "second mask"),
    ("no training image", lambda home: [p.unlink() for p in (home / "train/good").iterdir()], "no training image"),
    ("no anomalous image", remove("test/broken", "test/contamination", "ground_truth"), "no anomalous test image"),
    ("no test folder", remove("test"), "expected the folders train/good and test"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_bad_folder_is_refused_in_one_line(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(painters.mvtec(tmp_path / "root" / "parts"))
    with pytest.raises(DataError, match=message) as error:
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work", cores=2)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "work").glob("data/parts/*")), "something half-written is left"


def test_failure_leaves_earlier_preparation_alone(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts")
    before = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work").manifest
    truncate(home / TEST)
    with pytest.raises(DataError):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    from harness.data.prepared import Prepared

    assert Prepared.open(tmp_path / "work/data/parts/bottle").manifest == before


def test_full_disk_is_noticed_before_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(DataError, match=r"not enough disk for the prepared arrays: 0\.00 GB needed, 0\.00 GB free"):
        bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert not list((tmp_path / "work").glob("data/parts/*"))


def test_unknown_category_and_missing_folder_are_named(tmp_path: Path) -> None:
    painters.mvtec(tmp_path / "root" / "parts")
    with pytest.raises(DataError, match="unknown category 'cup'; known are bottle, tile"):
        bring(MVTEC, "cup", tmp_path / "root", tmp_path / "work")
    with pytest.raises(DataError, match="parts tile: unavailable: not in the data root"):
        bring(MVTEC, "tile", tmp_path / "root", tmp_path / "work")


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_other_eight_bit_modes_are_read(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(painters.picture(3)).convert("RGB" if mode == "P" else "L")
    image = image.quantize(256) if mode == "P" else image.convert(mode)
    image.save(tmp_path / "x.png")
    pixels = read_image(tmp_path / "x.png", 24, 3).pixels
    assert pixels.shape == (24, 24, 3)
    expected = np.asarray(image.convert("RGB"))
    assert (pixels == expected).all()
    assert read_image(tmp_path / "x.png", 24, 1)[0].shape == (24, 24, 1)


def test_category_of_grey_images_becomes_three_equal_channels(tmp_path: Path) -> None:
    home = painters.mvtec(tmp_path / "root" / "parts", channels=1)
    assert Image.open(home / TEST).mode == "L"
    prepared = bring(MVTEC, "bottle", tmp_path / "root", tmp_path / "work")
    assert prepared.train.shape[-1] == 3
    assert (prepared.train == prepared.train[..., :1]).all()


def test_palette_png_gives_its_colours_not_its_indices(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 10, 30])
    image.save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", 8, 3)[0][0, 0].tolist() == [200, 10, 30]


def test_cmyk_and_transparent_images_are_refused(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "x.jpg")
    with pytest.raises(DataError, match=r"x\.jpg: CMYK image; convert it to 8-bit RGB, or to"):
        read_image(tmp_path / "x.jpg", 8, 3)
    Image.new("RGBA", (8, 8), (1, 2, 3, 100)).save(tmp_path / "x.png")
    with pytest.raises(DataError, match="partly transparent"):
        read_image(tmp_path / "x.png", 8, 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_colours_are_refused_too(tmp_path: Path, suffix: str) -> None:
    import cv2

    path = tmp_path / f"x.{suffix}"
    cv2.imwrite(str(path), np.full((8, 8, 3), 4000, np.uint16))
    with pytest.raises(DataError, match="16-bit colour image"):
        read_image(path, 8, 3)
    cv2.imwrite(str(path), np.full((8, 8, 3), 40, np.uint8))
    assert (read_image(path, 8, 3)[0] == 40).all()


def test_damaged_exif_data_are_named(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A] = 6, 72.0  # a rotated image with a rational number, whose type is then spoilt
    Image.new("RGB", (8, 8)).save(tmp_path / "x.jpg", exif=exif)
    content = (tmp_path / "x.jpg").read_bytes()
    at = content.index(b"\x01\x1a\x00\x05")
    (tmp_path / "x.jpg").write_bytes(content[: at + 3] + b"\x02" + content[at + 4 :])
    with pytest.raises(DataError, match=r"x\.jpg: damaged EXIF data; save the image again"):
        read_image(tmp_path / "x.jpg", 8, 3)


def test_exif_rotation_turns_image_and_mask_alike(tmp_path: Path) -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    turned, _, shape, _ = read_image(tmp_path / "x.png", 16, 3)
    assert shape == (8, 16)
    assert turned[:3].min() == 255
    assert turned[8:].max() == 0
    painters.save(tmp_path / "upright.png", np.zeros((16, 8), np.uint8))
    painters.save(tmp_path / "lying.png", np.zeros((8, 16), np.uint8))
    read_mask(tmp_path / "upright.png", 16, shape)
    with pytest.raises(DataError, match=r"lying\.png: the mask is 16×8, its image 8×16"):
        read_mask(tmp_path / "lying.png", 16, shape)


def test_giant_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (8, 8)).save(tmp_path / "x.png")
    content = bytearray((tmp_path / "x.png").read_bytes())
    content[16:24] = struct.pack(">2I", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match="more than 100000000 pixels"):
        read_image(tmp_path / "x.png", 8, 3)


def test_reduction_is_antialiased(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    painters.save(tmp_path / "x.png", stripes)
    pixels = read_image(tmp_path / "x.png", 16, 1).pixels
    assert abs(pixels.astype(int) - 127).max() <= 20, "every other column was dropped instead of averaged"
