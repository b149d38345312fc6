"""Anomaly maps on disk: 16-bit codes in an uncompressed .npz, read as a stream; `maps_writer` writes them.

The value of a pixel is low + code / 65535 · (high − low), with one range for test and validation maps. A fit that
serves several methods gives several named scores, columns of one array with their names in `score_names`, and may give
several named maps, listed in `map_names`. The members of a map without a name are called maps, validation_maps, low and
high; those of the map "x" are maps.x and so on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from harness.errors import EvidenceError

LEVELS = 65535
PARTS = ("test", "validation")
MAPS = {"test": "maps", "validation": "validation_maps"}
SCORES = {"test": "scores", "validation": "validation_scores"}


def member(kind: str, name: str) -> str:
    """Return the name of the archive's member with a map's `kind` of array."""
    return f"{kind}.{name}" if name else kind


class MapsReader:
    """Reads the scores of a fit and the one of its maps that is called `name` (None: the one without a name).

    Maps come chunk by chunk, each checked by the archive's CRC once read to its end. Raises EvidenceError when the file
    is damaged, or holds other maps than the one asked for.
    """

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path, self.name = path, name or ""
        try:
            with zipfile.ZipFile(path) as archive:
                members = {file.removesuffix(".npy") for file in archive.namelist()}
                small = {key: self._read(archive, key) for key in members if not key.partition(".")[0].endswith("maps")}
                self.map_names = [str(found) for found in small["map_names"]]
                self.has_maps = bool(self.map_names)
                if self.has_maps and self.name not in self.map_names:
                    raise EvidenceError(_no_such(path, "map", self.name, self.map_names))
                self.shape = _header(archive, member("maps", self.name))[0][1:] if self.has_maps else None
            self.scores, self.test_index = small["scores"], small["test_index"]
            self.validation_scores = small["validation_scores"]
            self.score_names = [str(found) for found in small["score_names"]]
            self.low, self.high = (float(small.get(member(end, self.name), 0.0)) for end in ("low", "high"))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise EvidenceError(f"{path}: damaged map file; delete it and export again") from error

    def named_scores(self, name: str | None, part: str = "test") -> np.ndarray:
        """Return the scores (N,) called `name`; None asks for the only one. Raises EvidenceError if there is none."""
        if (name or "") not in self.score_names:
            raise EvidenceError(_no_such(self.path, "score", name or "", self.score_names))
        scores = self.scores if part == "test" else self.validation_scores
        return scores[:, self.score_names.index(name or "")]

    @staticmethod
    def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
        with archive.open(f"{name}.npy") as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def _open(self, archive: zipfile.ZipFile, part: str) -> IO[bytes]:
        return archive.open(f"{member(MAPS[part], self.name)}.npy")

    def values(self, codes: np.ndarray) -> np.ndarray:
        """Return the map values, float64, that `codes` stand for."""
        return self.low + np.asarray(codes, np.float64) * ((self.high - self.low) / LEVELS)

    def code(self, value: float) -> int:
        """Return the smallest code whose map value is at least `value`; 65536 when none is."""
        if self.high <= self.low:
            return 0 if self.low >= value else LEVELS + 1
        position = (value - self.low) / (self.high - self.low) * LEVELS
        return int(np.clip(np.ceil(position - 1e-9), 0, LEVELS + 1))

    def chunks(self, part: str = "test", images: int = 16) -> Iterator[np.ndarray]:
        """Yield uint16 (n,H,W) blocks of `part` ("test" or "validation"), in order, n ≤ `images`."""
        with zipfile.ZipFile(self.path) as archive, self._open(archive, part) as file:
            shape, dtype = _read_header(file)
            for start in range(0, shape[0], images):
                block = np.empty((min(images, shape[0] - start), *shape[1:]), dtype)
                self._fill(file, block)
                yield block
            self._fill(file, np.empty(0, np.uint8))

    def maps(self, index: list[int], part: str = "test") -> np.ndarray:
        """Return the uint16 maps at some positions of `part`, (len(index),H,W), without reading the others."""
        with zipfile.ZipFile(self.path) as archive, self._open(archive, part) as file:
            shape, dtype = _read_header(file)
            first, block = file.tell(), np.empty((len(index), *shape[1:]), dtype)
            for row, position in enumerate(index):
                file.seek(first + range(shape[0])[position] * block[0].nbytes)
                self._fill(file, block[row])
            return block

    def _fill(self, file: IO[bytes], block: np.ndarray) -> None:
        """Read exactly `block`; an empty block reads to the end, where the CRC is checked."""
        try:
            data = file.read(block.nbytes) if block.nbytes else file.read(1)
        except zipfile.BadZipFile as error:
            raise EvidenceError(f"{self.path}: checksum error; delete it and export again") from error
        if len(data) != block.nbytes:
            raise EvidenceError(f"{self.path}: damaged map file; delete it and export again")
        block[...] = np.frombuffer(data, block.dtype).reshape(block.shape)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    return shape, dtype


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{name}.npy") as file:
        return _read_header(file)


def _no_such(path: Path, kind: str, name: str, names: list[str]) -> str:
    known = ", ".join(names)
    return f"{path}: no {kind} '{name}'; this fit gives: {known or 'one without a name'}"
