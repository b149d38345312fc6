"""Reading all images of a category, on several threads, straight into array files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from harness.data.arrays import ArrayWriter
from harness.data.atomic import require_space
from harness.data.collection import Chunk, Collection, Row, Sample
from harness.data.remarks import EXAMPLES, Remark

EMPTY = "anomalous images whose mask marks nothing"
LOST = "anomalous images whose marked pixels are lost by the resizing"
NOT_SQUARE = "images that are not square, resized to a square"


def write_arrays(
    folder: Path, found: Collection, shape: tuple[int, int], cores: int, advance: Callable[[int], None]
) -> tuple[list[tuple[str, str]], list[Remark]]:
    """Write train.npy, test.npy and, if there are masks, masks.npy; `shape` is side and channels.

    Returns the digests (image, mask) of `found.rows`, in their order, and what was noticed.
    """
    with ExitStack() as stack:
        sink = _Sink(folder, found, shape, stack)

        def work(chunk: Chunk) -> None:
            for row, sample in zip(chunk.rows, chunk.read(*shape), strict=True):
                sink.take(row, sample)
            with sink.lock:
                advance(len(chunk.rows))

        _run(work, found.chunks, cores)
    return sink.digests, [*sink.remarks, *sink.sizes_remark()]


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
        self.digests, self.remarks = [("", "")] * len(rows), list[Remark]()
        self.sizes = Counter[tuple[int, int]]()
        self.lock = Lock()

    def take(self, row: Row, sample: Sample) -> None:
        """Write one image and its mask; each row is taken by one thread."""
        index = self.number[row.id]
        self.digests[index] = (sample.digest, sample.mask_digest)
        with self.lock:
            self._notice(row, sample)
        if row.split == "train":
            self.train.write(index, sample.pixels)
            return
        self.test.write(index - self.training, sample.pixels)
        if self.masks is not None and sample.mask is not None:
            self.masks.write(index - self.training, sample.mask)

    def _notice(self, row: Row, sample: Sample) -> None:
        self.remarks += sample.remarks
        if sample.shape is not None:
            self.sizes[sample.shape] += 1
            if sample.shape[0] != sample.shape[1]:
                self.remarks.append(Remark(NOT_SQUARE, f"{row.id} {_size(sample.shape)}"))
        if sample.mask is not None and row.anomalous and not sample.mask.any():
            self.remarks.append(Remark(LOST if sample.marked else EMPTY, row.id, touches_numbers=True))

    def sizes_remark(self) -> list[Remark]:
        """Return a remark when not all images have one size."""
        if len(self.sizes) < 2:
            return []
        common = [f"{count} of {_size(shape)}" for shape, count in self.sizes.most_common(EXAMPLES)]
        return [Remark(f"images of {len(self.sizes)} sizes", ", ".join(common))]


def _size(shape: tuple[int, int]) -> str:
    return f"{shape[0]}×{shape[1]}"


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
