"""ShanghaiTech Campus, LAG, and datasets listed in a CSV file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from harness.data.decode import EMPTY
from harness.data.layouts.shanghaitech import DISAGREE
from harness.data.video import length, read_frames
from harness.errors import DataError
from tests import painters
from tests.entries import LAG, SCENES, TABLE, bring


def test_scene_takes_every_fifth_frame_of_its_own_clips(tmp_path: Path) -> None:
    home = painters.shanghaitech(tmp_path / "root" / "campus")
    prepared = bring(SCENES, "01", tmp_path / "root", tmp_path / "work", size=16, cores=2)
    assert prepared.manifest.counts == {"train": 18, "test_normal": 2, "test_anomalous": 2}
    assert list(prepared.images["id"][:3]) == ["train/01_001/00000", "train/01_001/00005", "train/01_001/00010"]
    assert list(prepared.test_images["id"]) == [f"test/01_0014/{n:03}.jpg" for n in (0, 5, 10, 15)]
    with av.open(str(home / "training/videos/01_002.avi")) as container:
        frames = [frame.to_image() for frame in container.decode(video=0)]
    assert (prepared.train[10] == np.asarray(frames[5].resize((16, 16), 1))).all()
    assert prepared.masks is not None
    assert prepared.masks.sum(axis=(1, 2)).tolist()[:2] == [0, 0]
    expected = np.zeros((32, 48), bool)
    expected[8:20, 10:30] = True
    assert (prepared.masks[3] == expected[1::2, 1::3]).all(), "nearest neighbour of 32×48 at 16×16"


def test_protocol_may_sample_another_step(tmp_path: Path) -> None:
    painters.shanghaitech(tmp_path / "root" / "campus", scenes=["02"])
    options = {"sample_every": 10}
    prepared = bring(SCENES, "02", tmp_path / "root", tmp_path / "work", options=options)
    assert prepared.manifest.counts == {"train": 10, "test_normal": 1, "test_anomalous": 1}
    assert prepared.manifest.recipe["sample_every"] == 10


def test_frames_beyond_the_thousandth_keep_their_masks(tmp_path: Path) -> None:
    home = painters.shanghaitech(tmp_path / "root" / "campus", scenes=["01"])
    for number in range(20):
        (home / f"testing/frames/01_0014/{number:03}.jpg").rename(home / f"testing/frames/01_0014/{990 + number}.jpg")
    images = bring(SCENES, "01", tmp_path / "root", tmp_path / "work").test_images
    flags = dict(zip(images["id"], images["anomalous"], strict=True))
    assert flags == {f"test/01_0014/{number}.jpg": number >= 1000 for number in (990, 995, 1000, 1005)}


def test_scene_without_clips_is_missing(tmp_path: Path) -> None:
    painters.shanghaitech(tmp_path / "root" / "campus", scenes=["02"])
    with pytest.raises(DataError, match=r"campus: no training/videos/01_\*\.avi; add the training videos"):
        bring(SCENES, "01", tmp_path / "root", tmp_path / "work")


def masks(kind: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def spoil(home: Path) -> None:
        path = home / "testing" / kind / "01_0014.npy"
        np.save(path, change(np.load(path)))

    return spoil


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FRAME = "testing/frames/01_0014/007.jpg"
BAD_SCENES: list[tuple[str, Callable[[Path], object], str]] = [
    ("video ends early", lambda h: halve(h / "training/videos/01_001.avi"), r"01_001\.avi: the video ends after \d+"),
    ("no video", lambda h: (h / "training/videos/01_001.avi").write_bytes(b"RIFF"), r"01_001\.avi: no readable video"),
    ("longer frame mask", masks("test_frame_mask", lambda a: np.append(a, 1)), r"\.npy: a frame mask of shape \(21,\)"),
    ("shorter pixel mask", masks("test_pixel_mask", lambda a: a[:-1]), r"\.npy: a pixel mask of shape \(19, 32, 48\)"),
    ("mask of another size", masks("test_pixel_mask", lambda a: a[:, :30]), r"48×32 pixels, its mask 48×30"),
    ("frame mask missing", lambda h: (h / "testing/test_frame_mask/01_0014.npy").unlink(), "01_0014.npy: missing"),
    ("frame missing", lambda h: (h / FRAME).unlink(), "01_0014: frame 7 is missing"),
    ("frame twice", lambda h: shutil.copy(h / FRAME, h / FRAME.replace("jpg", "png")), "007.*two images have"),
    ("damaged frame", lambda h: halve(h / "testing/frames/01_0014/005.jpg"), r"005\.jpg: truncated or damaged"),
    ("no anomaly", masks("test_frame_mask", np.zeros_like), "no anomalous test image"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), [case[1:] for case in BAD_SCENES], ids=[c[0] for c in BAD_SCENES])
def test_bad_scenes_are_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(painters.shanghaitech(tmp_path / "root" / "campus", scenes=["01"]))
    with pytest.raises(DataError, match=message) as error:
        bring(SCENES, "01", tmp_path / "root", tmp_path / "work", cores=2)
    assert "\n" not in str(error.value)
    assert not list((tmp_path / "work").glob("data/campus/*"))


def test_disagreeing_masks_are_reported(tmp_path: Path) -> None:
    masks("test_pixel_mask", np.zeros_like)(painters.shanghaitech(tmp_path / "root" / "campus", scenes=["01"]))
    warnings = bring(SCENES, "01", tmp_path / "root", tmp_path / "work").manifest.warnings
    assert warnings[0] == f"{EMPTY}: 2 (test/01_0014/010.jpg, test/01_0014/015.jpg)"
    assert warnings[1] == f"{DISAGREE}: 2 (test/01_0014/010.jpg, test/01_0014/015.jpg)"


def test_frames_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    path = painters.video(tmp_path / "a.avi", 40)
    frames = read_frames(path, range(0, length(path, 7).frames, 7), 8, 1)
    first, digest, shape = next(frames)
    assert first.shape == (8, 8, 1)
    assert shape == (48, 32)
    assert len({digest, *(d for _, d, _ in frames)}) == 6


def test_lag_splits_normal_images_by_name_and_binarises_attention(tmp_path: Path) -> None:
    painters.lag(tmp_path / "root" / "eyes")
    prepared = bring(LAG, "fundus", tmp_path / "root", tmp_path / "work", size=24)
    assert prepared.manifest.counts == {"train": 6, "test_normal": 4, "test_anomalous": 4}
    assert prepared.manifest.warnings == [
        "4 glaucoma and 10 normal images: published are 2392 and 3432 with attention maps"
    ]
    assert prepared.masks is not None
    down, across = np.mgrid[:24, :24]
    spot = 255 - 24 * (abs(down - 12) + abs(across - 12)) > 127
    for mask, anomalous in zip(prepared.masks, prepared.test_labels, strict=True):
        assert (mask != (spot & anomalous)).mean() < 0.02, "JPEG may move single pixels at the edge"
    sharper = {**LAG, "attention_threshold": 0.9}
    again = bring(sharper, "fundus", tmp_path / "root", tmp_path / "work", size=24)
    assert again.masks is not None
    assert 0 < again.masks.sum() < prepared.masks.sum()


def test_lag_with_labels_in_the_file_names(tmp_path: Path) -> None:
    home = painters.lag(tmp_path / "paint")
    for label, name in enumerate(("non_glaucoma", "suspicious_glaucoma")):
        for kind in ("image", "attention_map"):
            (tmp_path / "root/eyes" / kind).mkdir(parents=True, exist_ok=True)
            for path in (home / name / kind).iterdir():
                shutil.copy(path, tmp_path / "root/eyes" / kind / f"{path.stem}_{label}.jpg")
    prepared = bring(LAG, "fundus", tmp_path / "root", tmp_path / "work")
    assert prepared.manifest.counts == {"train": 6, "test_normal": 4, "test_anomalous": 4}
    shutil.copy(home / "non_glaucoma/image/0000.jpg", tmp_path / "root/eyes/image/eye.jpg")
    with pytest.raises(DataError, match=r"eye\.jpg: the name carries no label"):
        bring(LAG, "fundus", tmp_path / "root", tmp_path / "work")


def test_lag_without_an_attention_map(tmp_path: Path) -> None:
    (painters.lag(tmp_path / "root" / "eyes") / "suspicious_glaucoma/attention_map/0002.jpg").unlink()
    with pytest.raises(DataError, match=r"image/0002\.jpg: no attention map"):
        bring(LAG, "fundus", tmp_path / "root", tmp_path / "work")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda h: (h / "suspicious_glaucoma/image/0002.jpg").unlink(),
            r"attention_map/0002\.jpg: .* without an image",
        ),
        (
            lambda h: painters.save(h / "non_glaucoma/image/0002.png", painters.picture(1)),
            r"image/0002\.\*: two images",
        ),
    ],
)
def test_lag_with_stray_files(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(painters.lag(tmp_path / "root" / "eyes"))
    with pytest.raises(DataError, match=message):
        bring(LAG, "fundus", tmp_path / "root", tmp_path / "work")


def test_table_whose_label_and_mask_disagree(tmp_path: Path) -> None:
    home = painters.table(tmp_path / "root" / "own")
    text = (home / "images.csv").read_text()
    (home / "images.csv").write_text(text.replace("7.png,good,,", "7.png,good,masks/dent0.png,"))
    with pytest.raises(DataError, match=r"dent0\.png: marks pixels of 7\.png, whose label is 'good'; correct one"):
        bring(TABLE, "own", tmp_path / "root", tmp_path / "work")
    painters.save(home / "masks/dent0.png", painters.square(24, 0, 0))
    warnings = bring(TABLE, "own", tmp_path / "root", tmp_path / "work").manifest.warnings
    assert warnings == [f"{EMPTY}: test/images/dent0.png"]


def test_table_of_images(tmp_path: Path) -> None:
    painters.table(tmp_path / "root" / "own")
    prepared = bring(TABLE, "own", tmp_path / "root", tmp_path / "work")
    assert prepared.manifest.counts == {"train": 6, "test_normal": 2, "test_anomalous": 2}
    assert prepared.masks is not None
    assert prepared.masks.any(axis=(1, 2)).tolist() == prepared.test_labels.tolist()
    assert set(prepared.test_images["label"]) == {"good", "dent"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("images/0.png,good,,train", "train/images/0.png is listed twice"),
        ("images/9.png,good,,train", r"line 12: .*images/9\.png does not exist"),
        ("images/dent0.png,dent,,test", "line 12: an anomalous image without its mask"),
        ("images/dent0.png,dent,masks/x.png,test", r"line 12: .*masks/x\.png does not exist"),
        ("images/0.png,good,,validation", "line 12: split 'validation' is neither train nor test"),
        ("images/dent0.png,dent,,train", "line 12: a training image labelled 'dent'"),
        ("images/0.png,,,test", "line 12: no label"),
        ("../../secret.png,good,,test", "line 12: '../../secret.png' must be a path below"),
        ("/etc/passwd,good,,test", "line 12: '/etc/passwd' must be a path below"),
    ],
)
def test_bad_lines_of_a_table_are_named(tmp_path: Path, line: str, message: str) -> None:
    home = painters.table(tmp_path / "root" / "own")
    with (home / "images.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=message):
        bring(TABLE, "own", tmp_path / "root", tmp_path / "work")


def test_table_without_a_column_or_masks(tmp_path: Path) -> None:
    home = painters.table(tmp_path / "root" / "own")
    text = (home / "images.csv").read_text()
    (home / "images.csv").write_text(text.replace("split", "part"))
    with pytest.raises(DataError, match="no column 'split'"):
        bring(TABLE, "own", tmp_path / "root", tmp_path / "work")
    (home / "images.csv").write_text("\n".join(line.replace("masks/dent0.png", "").replace("masks/dent1.png", "")
                                               for line in text.splitlines()))  # fmt: skip
    assert bring(TABLE, "own", tmp_path / "root", tmp_path / "work").masks is None
