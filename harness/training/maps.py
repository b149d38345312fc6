"""Anomaly maps on disk: 16-bit codes in an uncompressed .npz, written and read as a stream.

The value of a pixel is low + code / 65535 · (high − low), with one range for test and validation maps. A fit that
serves several methods gives several named scores: columns of one array, their names in `score_names`.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from harness.errors import EvidenceError, FitError

LEVELS = 65535
PARTS = ("test", "validation")
_MEMBER = {"test": ("maps", "scores"), "validation": ("validation_maps", "validation_scores")}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1 << 20


class MapsWriter:
    """Takes predictions batch by batch; memory use does not grow with their number.

    Maps first go to float32 scratch files beside `path`, because codes need the range of all of them. With
    `map_range` given (a method whose maps have an absolute meaning) values outside it are an error.
    Use as a context manager; the file appears when the block ends well.
    """

    def __init__(self, path: Path, test_index: np.ndarray, map_range: tuple[float, float] | None = None) -> None:
        self.path, self.test_index, self.map_range = path, np.asarray(test_index, np.int64), map_range
        self._scores: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
        self._names: list[str] | None = None
        self._counts = dict.fromkeys(PARTS, 0)
        self._shape: tuple[int, int] | None = None
        self._low, self._high = np.inf, -np.inf
        self._scratch: dict[str, IO[bytes]] = {}

    def __enter__(self) -> MapsWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            self._scratch[part] = self._name(part).open("w+b")
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for part, file in self._scratch.items():
                file.close()
                self._name(part).unlink(missing_ok=True)
            self._name("npz").unlink(missing_ok=True)

    def _name(self, part: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{os.getpid()}.{part}")

    def add(self, maps: np.ndarray | None, scores: np.ndarray | Mapping[str, np.ndarray], part: str = "test") -> None:
        """Append a batch: maps float (N,H,W) or None, scores (N,) or several named ones.

        Raises FitError when one is not finite.
        """
        named = scores if isinstance(scores, Mapping) else {"": scores}
        self._names = self._names or list(named)
        values = np.stack([np.asarray(named[name], np.float64).reshape(-1) for name in self._names], axis=1)
        if not np.isfinite(values).all():
            raise FitError("the detector gave an image score that is not a number")
        self._scores[part].append(values)
        if maps is None:
            return
        block = np.ascontiguousarray(maps, np.float32)
        if len(block) != len(values) or block.shape[1:] != (self._shape or block.shape[1:]):
            raise ValueError(f"maps {block.shape} do not fit {len(values)} scores and earlier maps {self._shape}")
        low, high = float(block.min()), float(block.max())
        if not np.isfinite([low, high]).all():
            raise FitError("the detector gave an anomaly map that is not finite")
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._shape = (block.shape[1], block.shape[2])
        self._counts[part] += len(block)
        self._scratch[part].write(block.data)

    def _finish(self) -> None:
        names = self._names or [""]
        scores = {part: np.concatenate([np.empty((0, len(names))), *self._scores[part]]) for part in PARTS}
        if len(scores["test"]) != len(self.test_index):
            raise ValueError(f"{len(scores['test'])} scores for {len(self.test_index)} test images")
        if self._shape is not None and any(self._counts[part] != len(scores[part]) for part in PARTS):
            raise ValueError("some batches had maps and some had none")
        with zipfile.ZipFile(self._name("npz"), "w", zipfile.ZIP_STORED) as archive:
            _write_array(archive, "test_index", self.test_index)
            _write_array(archive, "score_names", np.array(names))
            for part in PARTS:
                _write_array(archive, _MEMBER[part][1], scores[part])
            if self._shape is not None:
                self._write_maps(archive)
        self._name("npz").replace(self.path)

    def _write_maps(self, archive: zipfile.ZipFile) -> None:
        low, high = self._range()
        _write_array(archive, "low", np.float64(low))
        _write_array(archive, "high", np.float64(high))
        assert self._shape is not None
        for part in PARTS:
            shape = (self._counts[part], *self._shape)
            with _member(archive, _MEMBER[part][0], shape, np.dtype("<u2")) as member:
                self._scratch[part].seek(0)
                while block := self._scratch[part].read(_CHUNK_BYTES):
                    member.write(quantise(np.frombuffer(block, np.float32), low, high).data)

    def _range(self) -> tuple[float, float]:
        if self.map_range is None:
            return self._low, self._high
        slack = 1e-5 * (self.map_range[1] - self.map_range[0])
        if self._low < self.map_range[0] - slack or self._high > self.map_range[1] + slack:
            raise FitError(f"maps reach from {self._low:g} to {self._high:g}, declared was {self.map_range}")
        return self.map_range


def quantise(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the nearest uint16 codes of `values`; all zero when the range is a point."""
    if high <= low:
        return np.zeros(values.shape, np.uint16)
    codes = (values.astype(np.float64) - low) * (LEVELS / (high - low))
    return np.clip(np.rint(codes), 0, LEVELS).astype("<u2")


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> IO[bytes]:
    member = archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(member, header)
    return member


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray | np.floating) -> None:
    values = np.asarray(array)
    with _member(archive, name, values.shape, values.dtype) as member:
        member.write(values.tobytes())


class MapsReader:
    """Reads an export file; maps come chunk by chunk, each checked by the archive's CRC once read to its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with zipfile.ZipFile(path) as archive:
                self._names = {Path(name).stem for name in archive.namelist()}
                small = {name: self._read(archive, name) for name in self._names if not name.endswith("maps")}
                self.shape = _header(archive, "maps")[0][1:] if self.has_maps else None
            self.scores, self.test_index = small["scores"], small["test_index"]
            self.validation_scores = small["validation_scores"]
            self.score_names = [str(name) for name in small["score_names"]]
            self.low, self.high = float(small.get("low", 0.0)), float(small.get("high", 0.0))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise EvidenceError(f"{path}: damaged map file; delete it and export again") from error

    @property
    def has_maps(self) -> bool:
        """Whether the file holds anomaly maps and not only scores."""
        return "maps" in self._names

    def named_scores(self, name: str | None, part: str = "test") -> np.ndarray:
        """Return the scores (N,) called `name`; None asks for the only one. Raises EvidenceError if there is none."""
        if (name or "") not in self.score_names:
            known = ", ".join(self.score_names)
            raise EvidenceError(
                f"{self.path}: no score '{name or ''}'; this fit gives: {known or 'one without a name'}"
            )
        scores = self.scores if part == "test" else self.validation_scores
        return scores[:, self.score_names.index(name or "")]

    @staticmethod
    def _read(archive: zipfile.ZipFile, name: str) -> np.ndarray:
        with archive.open(f"{name}.npy") as member:
            return np.lib.format.read_array(member, allow_pickle=False)

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
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{_MEMBER[part][0]}.npy") as member:
            shape, dtype = _read_header(member)
            for start in range(0, shape[0], images):
                block = np.empty((min(images, shape[0] - start), *shape[1:]), dtype)
                self._fill(member, block)
                yield block
            self._fill(member, np.empty(0, np.uint8))

    def maps(self, index: list[int], part: str = "test") -> np.ndarray:
        """Return the uint16 maps at some positions of `part`, (len(index),H,W), without reading the others."""
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{_MEMBER[part][0]}.npy") as member:
            shape, dtype = _read_header(member)
            first, block = member.tell(), np.empty((len(index), *shape[1:]), dtype)
            for row, position in enumerate(index):
                member.seek(first + range(shape[0])[position] * block[0].nbytes)
                self._fill(member, block[row])
            return block

    def _fill(self, member: IO[bytes], block: np.ndarray) -> None:
        """Read exactly `block`; an empty block reads to the end, where the CRC is checked."""
        try:
            data = member.read(block.nbytes) if block.nbytes else member.read(1)
        except zipfile.BadZipFile as error:
            raise EvidenceError(f"{self.path}: checksum error; delete it and export again") from error
        if len(data) != block.nbytes:
            raise EvidenceError(f"{self.path}: damaged map file; delete it and export again")
        block[...] = np.frombuffer(data, block.dtype).reshape(block.shape)


def _read_header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    np.lib.format.read_magic(member)
    shape, _, dtype = np.lib.format.read_array_header_1_0(member)
    return shape, dtype


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    with archive.open(f"{name}.npy") as member:
        return _read_header(member)
