"""Reading .npy files of strangers: numbers only, one row at a time, nothing in them can run code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.errors import DataError


class ArrayFile:
    """A numeric .npy file whose rows are read when asked for. A memory map would keep every page it has touched.

    Attributes:
        shape: of the whole array.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise DataError(f"{path}: missing; every test clip needs a pixel mask and a frame mask") from error
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            raise DataError(f"{path}: refused, not an array of numbers ({str(error)[:80]}); get it again") from error
        if not isinstance(array, np.memmap) or array.dtype.kind not in "buif" or array.ndim == 0:
            raise DataError(f"{path}: refused, not an array of numbers but of {array.dtype}; get it again")
        if not array.flags.c_contiguous:
            raise DataError(f"{path}: refused, its columns come first; save it with numpy.ascontiguousarray")
        self.shape, self._dtype, self._start = array.shape, array.dtype, int(array.offset)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return row `index` (not negative)."""
        size = int(np.prod(self.shape[1:]))
        offset = self._start + index * size * self._dtype.itemsize
        return np.fromfile(self.path, self._dtype, size, offset=offset).reshape(self.shape[1:])

    def read(self) -> np.ndarray:
        """Return the whole array."""
        return np.fromfile(self.path, self._dtype, offset=self._start).reshape(self.shape)
