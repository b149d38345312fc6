"""ShanghaiTech Campus: training videos, test frames, pixel and frame masks; a category is one scene.

training/videos/SS_CCC.avi · testing/frames/SS_CCCC/NNN.jpg · testing/test_pixel_mask/SS_CCCC.npy (T,H,W) ·
testing/test_frame_mask/SS_CCCC.npy (T,). SS is the scene. Every n-th frame is taken (`sample_every`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.files import array_digest, subfolders, walk
from harness.data.images import Picture, image_files, read_image, shrink_mask
from harness.data.npy import ArrayFile
from harness.data.remarks import Remark
from harness.data.video import is_video, length, read_frames
from harness.dataset import Dataset
from harness.errors import DataError

VIDEOS, FRAMES = Path("training/videos"), Path("testing/frames")
PIXEL_MASKS, FRAME_MASKS = Path("testing/test_pixel_mask"), Path("testing/test_frame_mask")
FEWER = "videos with fewer frames than their header counts, dropped or lost"
DISAGREE = "frames whose frame mask and pixel mask disagree; the frame mask decides what is anomalous"


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return the folder that holds training/ and testing/, at or directly below `base`."""
    return next((f for f in [base, base / "shanghaitech"] if (f / VIDEOS).is_dir() and (f / FRAMES).is_dir()), None)


def collect(folder: Path, dataset: Dataset, category: str) -> Collection:
    """List the sampled frames of one scene. Raises DataError for a clip that is empty or lacks frames or masks."""
    every = dataset.sample_every
    has_masks = dataset.masks is not False
    videos = [path for path in _files(folder / VIDEOS) if is_video(path)]
    clips = subfolders(folder / FRAMES)
    chunks = [_video_chunk(path, every) for path in videos if _scene(path) == category]
    chunks += [_clip_chunk(folder, clip, dataset) for clip in clips if _scene(clip) == category]
    if not any(_scene(path) == category for path in videos):
        raise DataError(f"{folder}: no {VIDEOS}/{category}_*.avi; add the training videos of scene {category}")
    _refuse_lonely_masks(folder, category, {clip.name for clip in clips})
    known = set(dataset.categories) - {category}
    others = [path for path in _files(folder) if _scene_of(folder, path) in known]
    others += [] if has_masks else _files(folder / PIXEL_MASKS)
    others += [path for chunk in chunks for path in _passed_over(chunk)]
    return Collection(chunks, has_masks, scope=[folder / "training", folder / "testing"], others=others)


def _files(folder: Path) -> list[Path]:
    return [Path(entry.path) for entry in walk(folder)] if folder.is_dir() else []


def _scene(path: Path) -> str:
    return path.name.partition("_")[0]


def _scene_of(folder: Path, path: Path) -> str:
    """Return the scene that a file of training/videos, testing/frames and so on belongs to, by its path."""
    parts = path.relative_to(folder).parts
    return parts[2].partition("_")[0] if len(parts) > 2 else ""


def _passed_over(chunk: Chunk) -> list[Path]:
    """Return the frames between the sampled ones."""
    return [path for home in {path.parent for path in chunk.files} if home.parent.name == FRAMES.name
            for path in image_files(home) if path.parent == home]  # fmt: skip


def _refuse_lonely_masks(folder: Path, category: str, clips: set[str]) -> None:
    for kind in (FRAME_MASKS, PIXEL_MASKS):
        for path in _files(folder / kind):
            if path.suffix == ".npy" and _scene(path) == category and path.stem not in clips:
                raise DataError(f"{path}: masks without frames; add {folder / FRAMES / path.stem}, or remove the masks")


def _video_chunk(path: Path, every: int) -> Chunk:
    found = length(path, every)
    frames = range(0, found.frames, every)
    rows = [Row("train", f"train/{path.stem}/{number:05}", "normal", False, path.stem) for number in frames]

    def read(size: int, channels: int) -> Iterator[Sample]:
        lacking = f"{path.stem} {found.frames} of {found.promised}"
        remarks = (Remark(FEWER, lacking, touches_numbers=True),) if found.frames < found.promised else ()
        for number, (pixels, digest, shape) in enumerate(read_frames(path, frames, size, channels)):
            yield Sample(pixels, None, digest, shape=shape, remarks=() if number else remarks)

    return Chunk(rows, read, [path])


def _clip_chunk(folder: Path, clip: Path, dataset: Dataset) -> Chunk:
    paths, white = _numbered(clip), dataset.white_level
    frame_mask = _array(folder / FRAME_MASKS, clip, 1, len(paths))
    masks = _array(folder / PIXEL_MASKS, clip, 3, len(paths)) if dataset.masks is not False else None
    flags = frame_mask.read()
    chosen = range(0, len(paths), dataset.sample_every)
    rows = [_row(clip, paths[number], bool(flags[number])) for number in chosen]

    def read(size: int, channels: int) -> Iterator[Sample]:
        for row, number in zip(rows, chosen, strict=True):
            picture = read_image(paths[number], size, channels, white=white)
            yield _sample(row, paths[number], picture, masks[number] if masks else None, size)

    files = [*(paths[number] for number in chosen), frame_mask.path, *([masks.path] if masks else [])]
    return Chunk(rows, read, files)


def _numbered(clip: Path) -> list[Path]:
    """Return a clip's frames in the order of their numbers. Raises DataError when there is none or one is missing."""
    paths = [path for path in image_files(clip) if path.parent == clip]
    if not paths:
        raise DataError(f"{clip}: no frame in this clip; add its frames, or remove the clip")
    strange = next((path for path in paths if not (path.stem.isascii() and path.stem.isdecimal())), None)
    if strange is not None:
        raise DataError(f"{strange}: a frame whose name is not its number; rename it, or remove it")
    paths.sort(key=lambda path: int(path.stem))  # 1000 comes after 999
    numbers = [int(path.stem) for path in paths]
    gap = next((before + 1 for before, after in pairwise(numbers) if after != before + 1), None)
    if gap is not None:
        raise DataError(f"{clip}: frame {gap} is missing or there twice; each mask belongs to the frame of its number")
    return paths


def _array(folder: Path, clip: Path, dimensions: int, frames: int) -> ArrayFile:
    array = ArrayFile(folder / f"{clip.name}.npy")
    if len(array.shape) != dimensions or array.shape[0] != frames:
        what = "frame" if dimensions == 1 else "pixel"
        raise DataError(
            f"{array.path}: a {what} mask of shape {array.shape}, but {frames} frames in {clip}; get both again"
        )
    return array


def _row(clip: Path, path: Path, anomalous: bool) -> Row:
    return Row("test", f"test/{clip.name}/{path.name}", "anomalous" if anomalous else "normal", anomalous, clip.name)


def _sample(row: Row, path: Path, picture: Picture, mask: np.ndarray | None, size: int) -> Sample:
    if mask is None:
        return Sample(picture.pixels, None, picture.digest, shape=picture.shape)
    width, height = picture.shape
    if mask.shape != (height, width):
        raise DataError(f"{path}: {width}×{height} pixels, its mask {mask.shape[1]}×{mask.shape[0]}; get both again")
    marked = mask > 0
    found = bool(marked.any())
    remarks = (Remark(DISAGREE, row.id, touches_numbers=True),) if found != row.anomalous else ()
    return Sample(
        picture.pixels, shrink_mask(marked, size), picture.digest, array_digest(marked), picture.shape, found, remarks
    )
