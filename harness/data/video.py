"""Decoding videos frame by frame: one frame in memory, whatever the video's length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.files import file_digest
from harness.data.images import fit
from harness.errors import DataError

SUFFIXES = frozenset({".avi", ".mp4", ".m4v", ".mkv", ".mov", ".mpg", ".mpeg", ".webm", ".wmv"})
SLACK = 2  # frames that a container may promise, or its packets be, more than its decoder delivers
Frame = tuple[np.ndarray, str, tuple[int, int]]


def is_video(path: Path) -> bool:
    """Tell by the name whether `path` is a video; hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True)
class Length:
    """How many frames a video has, and how many its header promises (0 if it says nothing)."""

    frames: int
    promised: int


def length(path: Path, every: int) -> Length:
    """Count a video's frames by its packets; what the header promises is compared, not believed.

    Where the last one of every `every`-th frame is among the last few, the frames are counted by decoding: a decoder
    may deliver fewer than there are packets. Raises DataError when the file ends before its header's last frame.
    """
    with _opened(path) as (container, stream):
        promised, packets, last = int(stream.frames), 0, 0
        for packet in container.demux(stream):
            if packet.size > 0:
                packets, last = packets + 1, max(last, packet.pts or 0)
        frames_per_tick = float((stream.average_rate or 0) * (stream.time_base or 0))
    if not packets:
        raise DataError(f"{path}: no frame in this video; get it again, or remove it")
    # an AVI file counts the frames that were dropped while it was filmed: they leave gaps between its times
    if packets < promised - SLACK and last * frames_per_tick + 1 < promised - SLACK:
        raise DataError(f"{path}: the video ends after {packets} frames, its header promises {promised}; get it again")
    uncertain = (packets - 1) % every < SLACK
    return Length(_decoded(path) if uncertain else packets, promised)


def _decoded(path: Path) -> int:
    with _opened(path) as (container, stream):
        return sum(1 for _ in container.decode(stream))


def read_frames(path: Path, frames: range, size: int, channels: int) -> Iterator[Frame]:
    """Yield pixels uint8 (size,size,channels), a digest and (width, height) for each number in `frames`.

    Decodes once. The digest is that of the file and the frame's number, so it does not depend on the decoder. Raises
    DataError when a frame up to the last of them is damaged or missing.
    """
    content, number = file_digest(path), -1
    with _opened(path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            if frame.is_corrupt:
                raise DataError(f"{path}: frame {number} is damaged; get the video again")
            if number in frames:
                picture = frame.to_image().convert("L" if channels == 1 else "RGB")
                digest = hashlib.sha256(f"{content}:{number}".encode()).hexdigest()
                yield fit(picture, size), digest, (frame.width, frame.height)
                if number == frames[-1]:
                    return
    raise DataError(f"{path}: damaged, {number + 1} of at least {frames[-1] + 1} frames can be decoded; get it again")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield the container and its video stream. Raises DataError for what cannot be read or decoded."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DataError(f"{path}: no video in this file; get it again, or remove it")
            stream = container.streams.video[0]
            if stream.codec_context is None:
                raise DataError(f"{path}: no decoder for its codec here; convert it, to H.264 for example")
            yield container, stream
    except av.FFmpegError as error:
        raise DataError(f"{path}: no readable video ({error.strerror or error}); get it again") from error
