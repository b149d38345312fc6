"""Writing .npy files row by row, from several threads, without holding them in memory."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import numpy as np

from harness.data.atomic import unwritable


class ArrayWriter:
    """A uint8 .npy file of known shape whose rows are written in any order; rows never written stay zero.

    Rows go through `pwrite`, not a memory map: mapped pages would count as the program's memory.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        self._row = int(np.prod(shape[1:]))

    def __enter__(self) -> ArrayWriter:
        try:
            with self.path.open("wb") as file:
                header = {"descr": "|u1", "fortran_order": False, "shape": self.shape}
                np.lib.format.write_array_header_1_0(file, header)
                self._start = file.tell()
                file.truncate(self._start + self.shape[0] * self._row)
            self._file = os.open(self.path, os.O_WRONLY)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error
        return self

    def write(self, index: int, values: np.ndarray) -> None:
        """Write row `index`."""
        if values.shape != self.shape[1:] or values.dtype != np.uint8:
            raise ValueError(f"{values.dtype} {values.shape} does not fit a row of {self.shape}")
        try:
            os.pwrite(self._file, np.ascontiguousarray(values).data, self._start + index * self._row)
        except OSError as error:
            raise unwritable(self.path.parent, error) from error

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        os.close(self._file)
