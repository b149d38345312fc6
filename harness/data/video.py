"""Decoding videos frame by frame: one frame in memory, whatever the video's length."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from harness.data.files import file_digest
from harness.data.images import fit
from harness.errors import DataError

SLACK = 2  # containers may promise one or two frames more than their decoder delivers


def frame_count(path: Path) -> int:
    """Return how many frames of a video can be relied on: those its header promises, less SLACK."""
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            promised = stream.frames or sum(packet.size > 0 for packet in container.demux(stream))
    except (av.FFmpegError, IndexError) as error:
        raise DataError(f"{path}: no readable video ({error}); get it again") from error
    return max(0, promised - SLACK)


def read_frames(path: Path, frames: range, size: int, channels: int) -> Iterator[tuple[np.ndarray, str]]:
    """Yield pixels uint8 (size,size,channels) and a digest for each number in `frames`, decoding once.

    The digest is that of the file and the frame's number, so it does not depend on the decoder. Raises DataError when
    the video ends before the last of them.
    """
    import av

    content, number = file_digest(path), -1
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for number, frame in enumerate(container.decode(stream)):
                if number in frames:
                    picture = frame.to_image().convert("L" if channels == 1 else "RGB")
                    yield fit(picture, size), hashlib.sha256(f"{content}:{number}".encode()).hexdigest()
                    if number == frames[-1]:
                        break
    except av.FFmpegError as error:
        raise DataError(f"{path}: damaged after frame {number} ({error}); get it again") from error
    if number < frames[-1]:
        raise DataError(f"{path}: the video ends after {number + 1} frames, promised were more; get it again")
