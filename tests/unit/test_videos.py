"""Videos and clips laid out as ShanghaiTech Campus: nothing is lost, shifted or damaged in silence."""

from __future__ import annotations

import random
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from harness.data.collection import NO_MASKS, UNUSED_FILES, UNUSED_IMAGES
from harness.data.layouts.shanghaitech import FEWER
from harness.data.prepared import Manifest
from harness.data.video import length
from harness.errors import DataError
from tests import painters
from tests.entries import SCENES, bring

VIDEO, CLIP = "training/videos/01_001.avi", "testing/frames/01_0014"
PROMISE = ((b"avih", 16), (b"strh", 32))  # where an AVI file's header says how many frames there are


def promise(content: bytes, frames: int) -> bytes:
    changed = bytearray(content)
    for name, offset in PROMISE:
        struct.pack_into("<I", changed, changed.find(name) + 8 + offset, frames)
    return bytes(changed)


def with_dropped(content: bytes, at: int, number: int) -> bytes:
    """Return an AVI file of one stream with `number` empty frames before frame `at`, as cameras write dropped ones."""
    start, end, chunks = content.find(b"movi"), content.find(b"idx1"), []
    position = start + 4
    while position < end:
        size = struct.unpack_from("<I", content, position + 4)[0]
        chunks.append(content[position : position + 8 + size + size % 2])
        position += len(chunks[-1])
    chunks[at:at] = [b"00dc\0\0\0\0"] * number
    index, offset = b"", 4
    for chunk in chunks:
        index += b"00dc" + struct.pack("<3I", 0x10, offset, struct.unpack_from("<I", chunk, 4)[0])
        offset += len(chunk)
    movie = b"movi" + b"".join(chunks)
    head = promise(content, len(chunks))[: start - 4]
    whole = head + struct.pack("<I", len(movie)) + movie + b"idx1" + struct.pack("<I", len(index)) + index
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


def encoded(path: Path, codec: str, frames: int, between: int = 0) -> Path:
    """Write a moving picture whose frames depend on each other; `between` is the number of B-frames."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 12, between
        for number in range(frames):
            picture = av.VideoFrame.from_ndarray(np.roll(noise, 2 * number, 1), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def scene(tmp_path: Path, change: Callable[[Path], object] = lambda home: None, **entry: object) -> Manifest:
    home = painters.shanghaitech(tmp_path / "root" / "campus", ["01"])
    change(home)
    return bring({**SCENES, **entry}, "01", tmp_path / "root", tmp_path / "work").manifest


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda home: (home / VIDEO).write_bytes(change((home / VIDEO).read_bytes()))


@pytest.mark.parametrize("frames", range(40, 46))
def test_the_last_frames_are_sampled_too(tmp_path: Path, frames: int) -> None:
    assert len(range(0, length(painters.video(tmp_path / "a.avi", frames), 5).frames, 5)) == (frames + 4) // 5


@pytest.mark.parametrize(
    ("name", "codec", "between"),
    [("a.avi", "mpeg4", 0), ("b.avi", "mpeg4", 2), ("c.mp4", "mpeg4", 2), ("d.mpg", "mpeg2video", 2)],
)
@pytest.mark.parametrize("every", [1, 5, 7])
def test_every_frame_that_can_be_decoded_is_counted(
    tmp_path: Path, name: str, codec: str, between: int, every: int
) -> None:
    path = encoded(tmp_path / name, codec, 60, between)
    with av.open(str(path)) as container:
        decoded = sum(1 for _ in container.decode(video=0))
    assert length(path, every).frames == decoded == 60


def test_a_header_that_promises_fewer_frames_is_not_believed(tmp_path: Path) -> None:
    manifest = scene(tmp_path, rewrite(lambda content: promise(content, 20)))
    assert manifest.counts["train"] == 18
    assert manifest.warnings == scene(tmp_path / "sound").warnings


def test_dropped_frames_are_no_damage_and_are_said(tmp_path: Path) -> None:
    manifest = scene(tmp_path, rewrite(lambda content: with_dropped(content, 10, 4)))
    assert manifest.counts["train"] == 18
    assert manifest.notes == [f"{FEWER}: 01_001 42 of 46"]


def test_a_damaged_frame_is_named_though_the_decoder_covers_it(tmp_path: Path) -> None:
    sound = encoded(tmp_path / "a.avi", "mpeg4", 60).read_bytes()
    refused, random_ = 0, random.Random(1)
    for _ in range(8):
        content, place = bytearray(sound), random_.randrange(len(sound) // 4, len(sound) * 3 // 4)
        content[place : place + 60] = random_.randbytes(60)
        home = painters.shanghaitech(tmp_path / "root" / "campus", ["01"])
        (home / VIDEO).write_bytes(content)
        try:
            found = bring(SCENES, "01", tmp_path / "root", tmp_path / "work").manifest.notes
        except DataError as error:
            found, refused = [str(error)], refused + 1
        assert any("01_001" in line for line in found), "neither refused nor said"
    assert refused >= 6


NAMED: list[tuple[str, Callable[[Path], object], str]] = [
    ("empty clip", lambda h: [p.unlink() for p in (h / CLIP).iterdir()], "01_0014: no frame in this clip"),
    ("no frames of a clip", lambda h: shutil.rmtree(h / CLIP), r"01_0014\.npy: masks without frames"),
    ("a number missing", lambda h: (h / CLIP / "007.jpg").rename(h / CLIP / "020.jpg"), "frame 7 is missing"),
    ("a number twice", lambda h: (h / CLIP / "019.jpg").rename(h / CLIP / "7.jpg"), "frame 8 is missing"),
    ("no number", lambda h: (h / CLIP / "007.jpg").rename(h / CLIP / "x.jpg"), r"x\.jpg: a frame whose name"),
    ("no training video", lambda h: shutil.rmtree(h / "training/videos/") or (h / "training/videos").mkdir(),
     r"campus: no training/videos/01_\*\.avi; add the training videos of scene 01"),
    ("header only", rewrite(lambda c: promise(c[: c.find(b"movi") + 4], 0)), r"01_001\.avi: no frame in this video"),
    ("unknown codec", rewrite(lambda c: c.replace(b"MJPG", b"XQZW")), r"01_001\.avi: no decoder for its codec here"),
    ("sound only", lambda h: audio(h / VIDEO), r"01_001\.avi: no video in this file"),
]  # fmt: skip


def audio(path: Path) -> None:
    with av.open(str(path), "w", format="wav") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))


@pytest.mark.parametrize(("spoil", "message"), [case[1:] for case in NAMED], ids=[case[0] for case in NAMED])
def test_a_clip_that_cannot_be_used_is_named(tmp_path: Path, spoil: Callable[[Path], object], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        scene(tmp_path, spoil)
    assert "\n" not in str(error.value)


def test_clips_in_capitals_and_other_containers_are_read(tmp_path: Path) -> None:
    def change(home: Path) -> None:
        (home / VIDEO).rename((home / VIDEO).with_suffix(".AVI"))
        encoded(home / "training/videos/01_002.mp4", "mpeg4", 21)
        (home / "training/videos/01_002.avi").unlink()

    assert scene(tmp_path, change).counts["train"] == 9 + 5


def test_what_is_no_clip_of_any_scene_is_named_and_other_scenes_are_not(tmp_path: Path) -> None:
    def change(home: Path) -> None:
        painters.video(home / "training/videos/02_001.avi", 3)
        painters.video(home / "training/videos/13_001.avi", 3)

    warnings = scene(tmp_path, change).warnings
    assert f"{UNUSED_FILES}: training/videos/13_001.avi" in warnings
    assert not any("02_001" in line for line in warnings)
    assert not any("13_" in line for line in scene(tmp_path / "b", change, ignore=["*/13_*"]).warnings)


def test_images_below_a_clip_are_no_frames_of_it_and_are_named(tmp_path: Path) -> None:
    def change(home: Path) -> None:
        painters.save(home / CLIP / "sub/000.jpg", painters.picture(1))

    assert scene(tmp_path, change).notes == [f"{UNUSED_IMAGES}: {CLIP}/sub/000.jpg"]


def test_without_masks_only_the_frame_masks_are_needed(tmp_path: Path) -> None:
    manifest = scene(tmp_path, lambda home: shutil.rmtree(home / "testing/test_pixel_mask"), masks=False)
    assert manifest.notes == [NO_MASKS]
    assert manifest.counts == {"train": 18, "test_normal": 2, "test_anomalous": 2}


def test_clips_of_another_size_are_said(tmp_path: Path) -> None:
    def change(home: Path) -> None:
        path = home / "training/videos/01_002.avi"
        path.unlink()
        painters.video(path, 10, (64, 32))

    assert any(
        line.startswith("images of 2 sizes: 13 of 48×32, 2 of 64×32") for line in scene(tmp_path, change).warnings
    )


def test_every_frame_is_taken_unless_the_entry_says_otherwise(tmp_path: Path) -> None:
    painters.shanghaitech(tmp_path / "root" / "campus", ["01"], frames=6)
    entry = {key: value for key, value in SCENES.items() if key != "sample_every"}
    assert bring(entry, "01", tmp_path / "root", tmp_path / "work").manifest.counts["train"] == 12


def test_whole_clips_leave_the_test_set_with_their_weak_frames(tmp_path: Path) -> None:
    home = painters.shanghaitech(tmp_path / "root" / "campus", ["01"])
    for number in range(3):
        name = f"01_01{number:02}"
        for path in sorted((home / CLIP).iterdir()):
            with Image.open(path) as image:
                painters.save(home / "testing/frames" / name / path.name, np.asarray(image) // (number + 2))
        for kind in ("test_pixel_mask", "test_frame_mask"):
            shutil.copy(home / f"testing/{kind}/01_0014.npy", home / f"testing/{kind}/{name}.npy")
    entry = {**SCENES, "weak_split": "clip"}
    prepared = bring(entry, "01", tmp_path / "root", tmp_path / "work", seeds=[0, 1, 2])
    rows = prepared.test_images
    for seed in (0, 1, 2):
        moved = rows.iloc[prepared.manifest.weak[str(seed)]]
        assert len(moved) == 1
        left = rows.iloc[prepared.test_index(seed, weak=True)]
        assert not set(moved["clip"]) & set(left["clip"])
        assert len(left) == 12
        assert len(prepared.training_arrays(seed, validation=False, weak=True)["anomalous"]) == 1
    by_frame = bring(entry, "01", tmp_path / "root", tmp_path / "w2", options={"weak_split": "frame"})
    assert len(by_frame.test_index(0, weak=True)) == 15
    assert by_frame.manifest.digest != prepared.manifest.digest
