"""Reading all images of a category, on several threads, straight into array files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from harness.data.arrays import ArrayWriter
from harness.data.atomic import require_space
from harness.data.collection import Chunk, Collection, Row, Sample


def write_arrays(
    folder: Path, found: Collection, shape: tuple[int, int], cores: int, advance: Callable[[int], None]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Write train.npy, test.npy and, if there are masks, masks.npy; `shape` is side and channels.

    Returns the digests (image, mask) of `found.rows`, in their order, and the distinct warnings, sorted.
    """
    with ExitStack() as stack:
        sink = _Sink(folder, found, shape, stack)

        def work(chunk: Chunk) -> None:
            for row, sample in zip(chunk.rows, chunk.read(*shape), strict=True):
                sink.take(row, sample)
            with sink.lock:
                advance(len(chunk.rows))

        _run(work, found.chunks, cores)
    return sink.digests, sorted([*sink.warnings, *sink.unmarked_warning()])


class _Sink:
    """Puts samples into the open files, in the place that their row has among all rows."""

    def __init__(self, folder: Path, found: Collection, shape: tuple[int, int], stack: ExitStack) -> None:
        rows, (size, channels) = found.rows, shape
        self.number = {row.id: index for index, row in enumerate(rows)}
        self.training = sum(row.split == "train" for row in rows)
        tests = len(rows) - self.training
        require_space(folder, len(rows) * size * size * channels + tests * size * size, "the prepared arrays")
        image = (size, size, channels)
        self.train = stack.enter_context(ArrayWriter(folder / "train.npy", (self.training, *image)))
        self.test = stack.enter_context(ArrayWriter(folder / "test.npy", (tests, *image)))
        self.masks = None
        if found.has_masks:
            self.masks = stack.enter_context(ArrayWriter(folder / "masks.npy", (tests, size, size)))
        self.digests, self.warnings, self.unmarked = [("", "")] * len(rows), set[str](), list[str]()
        self.lock = Lock()

    def take(self, row: Row, sample: Sample) -> None:
        """Write one image and its mask; each row is taken by one thread."""
        index = self.number[row.id]
        self.digests[index] = (sample.digest, sample.mask_digest)
        if sample.warning:
            self.warnings.add(sample.warning)
        if row.split == "train":
            self.train.write(index, sample.pixels)
            return
        self.test.write(index - self.training, sample.pixels)
        if self.masks is not None and sample.mask is not None:
            self.masks.write(index - self.training, sample.mask)
        if sample.mask is not None and row.anomalous and not sample.mask.any():
            self.unmarked.append(row.id)

    def unmarked_warning(self) -> list[str]:
        """Return a warning when the masks of anomalous images are empty, or defects are lost by the resizing."""
        if not self.unmarked:
            return []
        return [f"{len(self.unmarked)} anomalous images without a marked pixel, such as {min(self.unmarked)}"]


def _run(work: Callable[[Chunk], None], chunks: Sequence[Chunk], cores: int) -> None:
    """Do the work on threads (decoding leaves the interpreter's lock); the first error stops what has not begun."""
    if cores == 1:
        for chunk in chunks:
            work(chunk)
        return
    with ThreadPoolExecutor(cores) as pool:
        try:
            for _ in pool.map(work, chunks):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
