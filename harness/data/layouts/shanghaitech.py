"""ShanghaiTech Campus: training videos, test frames, pixel and frame masks; a category is one scene.

training/videos/SS_CCC.avi · testing/frames/SS_CCCC/NNN.jpg · testing/test_pixel_mask/SS_CCCC.npy (T,H,W) ·
testing/test_frame_mask/SS_CCCC.npy (T,). SS is the scene. Every n-th frame is taken (`sample_every`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.files import array_digest, subfolders
from harness.data.images import image_files, read_image, shrink_mask
from harness.data.npy import ArrayFile
from harness.data.video import frame_count, read_frames
from harness.errors import DataError

VIDEOS, FRAMES = Path("training/videos"), Path("testing/frames")
PIXEL_MASKS, FRAME_MASKS = Path("testing/test_pixel_mask"), Path("testing/test_frame_mask")


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return the folder that holds training/ and testing/, at or directly below `base`."""
    return next((f for f in [base, base / "shanghaitech"] if (f / VIDEOS).is_dir() and (f / FRAMES).is_dir()), None)


def collect(folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """List the sampled frames of one scene."""
    every = int(options.get("sample_every") or entry["sample_every"])
    videos = sorted((folder / VIDEOS).glob(f"{category}_*.avi"))
    clips = [path for path in subfolders(folder / FRAMES) if path.name.startswith(f"{category}_")]
    chunks = [_video_chunk(path, every) for path in videos]
    chunks += [_clip_chunk(folder, clip, every) for clip in clips]
    return Collection([chunk for chunk in chunks if chunk.rows], has_masks=True)


def _video_chunk(path: Path, every: int) -> Chunk:
    frames = range(0, frame_count(path), every)
    rows = [Row("train", f"train/{path.stem}/{number:05}", "normal", False) for number in frames]

    def read(size: int, channels: int) -> Iterator[Sample]:
        for pixels, digest in read_frames(path, frames, size, channels):
            yield Sample(pixels, None, digest)

    return Chunk(rows, read)


def _clip_chunk(folder: Path, clip: Path, every: int) -> Chunk:
    paths = sorted(image_files(clip), key=lambda path: (len(path.stem), path.stem))  # 1000 comes after 999
    frame_mask = ArrayFile(folder / FRAME_MASKS / f"{clip.name}.npy")
    masks = ArrayFile(folder / PIXEL_MASKS / f"{clip.name}.npy")
    for array, dimensions, what in ((frame_mask, 1, "frame"), (masks, 3, "pixel")):
        if len(array.shape) != dimensions or array.shape[0] != len(paths):
            raise DataError(
                f"{array.path}: a {what} mask of shape {array.shape}, but {len(paths)} frames in {clip}; get both again"
            )
    flags = frame_mask.read()
    chosen = range(0, len(paths), every)
    rows = [_row(clip, paths[number], bool(flags[number])) for number in chosen]

    def read(size: int, channels: int) -> Iterator[Sample]:
        for number in chosen:
            yield _frame(clip, paths[number], masks[number], bool(flags[number]), size, channels)

    return Chunk(rows, read)


def _row(clip: Path, path: Path, anomalous: bool) -> Row:
    return Row("test", f"test/{clip.name}/{path.name}", "anomalous" if anomalous else "normal", anomalous)


def _frame(clip: Path, path: Path, mask: np.ndarray, anomalous: bool, size: int, channels: int) -> Sample:
    pixels, digest, (width, height) = read_image(path, size, channels)
    if mask.shape != (height, width):
        raise DataError(f"{path}: {width}×{height} pixels, its mask {mask.shape[1]}×{mask.shape[0]}; get both again")
    marked = mask > 0
    warning = None
    if bool(marked.any()) != anomalous:
        warning = (
            f"{clip.name}: frame mask and pixel mask disagree; the frame mask decides whether an image is anomalous"
        )
    return Sample(pixels, shrink_mask(marked, size), digest, array_digest(marked), warning)
