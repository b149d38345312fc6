"""Writing anomaly maps and scores to disk as a stream: the format of `maps`."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from harness.errors import FitError
from harness.training.maps import LEVELS, MAPS, PARTS, SCORES, member

Range = tuple[float, float]
_EPOCH = (1980, 1, 1, 0, 0, 0)
_CHUNK_BYTES = 1 << 20


def range_of(ranges: Range | Mapping[str, Range] | None, name: str) -> Range | None:
    """Return the declared range of the map `name`: one pair holds for all maps, a mapping names each."""
    return ranges.get(name) if isinstance(ranges, Mapping) else ranges


class MapsWriter:
    """Takes predictions batch by batch; memory use does not grow with their number.

    Maps first go to float32 scratch files beside `path`, because codes need the range of all of them. With
    `map_range` given (a method whose maps have an absolute meaning) values outside it are an error.
    Use as a context manager; the file appears when the block ends well.
    """

    def __init__(
        self, path: Path, test_index: np.ndarray, map_range: Range | Mapping[str, Range] | None = None
    ) -> None:
        self.path, self.test_index, self.map_range = path, np.asarray(test_index, np.int64), map_range
        self._scores: dict[str, list[np.ndarray]] = {part: [] for part in PARTS}
        self._score_names: list[str] | None = None
        self._maps: dict[str, _Scratch] | None = None

    def __enter__(self) -> MapsWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            for scratch in (self._maps or {}).values():
                scratch.remove()
            self._beside("npz").unlink(missing_ok=True)

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(f".{self.path.name}.{os.getpid()}.{suffix}")

    def add(
        self,
        maps: np.ndarray | Mapping[str, np.ndarray] | None,
        scores: np.ndarray | Mapping[str, np.ndarray],
        part: str = "test",
    ) -> None:
        """Append a batch: maps float (N,H,W) or several named ones or None, scores (N,) or several named ones.

        Raises FitError when one is not finite.
        """
        named = scores if isinstance(scores, Mapping) else {"": scores}
        self._score_names = self._score_names or list(named)
        values = np.stack([np.asarray(named[name], np.float64).reshape(-1) for name in self._score_names], axis=1)
        if not np.isfinite(values).all():
            raise FitError("the detector gave an image score that is not a number")
        self._scores[part].append(values)
        blocks = {} if maps is None else maps if isinstance(maps, Mapping) else {"": maps}
        if self._maps is None:
            self._maps = {name: _Scratch(self._beside(f"{n}"), name) for n, name in enumerate(blocks)}
        if set(blocks) != set(self._maps):
            raise ValueError("some batches had other maps than the others")
        for name, block in blocks.items():
            self._maps[name].add(block, len(values), part)

    def _finish(self) -> None:
        names, maps = self._score_names or [""], self._maps or {}
        scores = {part: np.concatenate([np.empty((0, len(names))), *self._scores[part]]) for part in PARTS}
        if len(scores["test"]) != len(self.test_index):
            raise ValueError(f"{len(scores['test'])} scores for {len(self.test_index)} test images")
        with zipfile.ZipFile(self._beside("npz"), "w", zipfile.ZIP_STORED) as archive:
            _write_array(archive, "test_index", self.test_index)
            _write_array(archive, "score_names", np.array(names, np.str_))
            _write_array(archive, "map_names", np.array(list(maps), np.str_))
            for part in PARTS:
                _write_array(archive, SCORES[part], scores[part])
            for name, scratch in maps.items():
                scratch.write(archive, range_of(self.map_range, name))
        self._beside("npz").replace(self.path)


class _Scratch:
    """One map's values on their way to the archive, and what is known of them so far."""

    def __init__(self, path: Path, name: str) -> None:
        self.name, self.shape, self.low, self.high = name, (0, 0), np.inf, -np.inf
        self.counts = dict.fromkeys(PARTS, 0)
        self.paths = {part: path.with_name(f"{path.name}.{part}") for part in PARTS}
        self.files: dict[str, IO[bytes]] = {part: path.open("w+b") for part, path in self.paths.items()}

    def add(self, maps: np.ndarray, images: int, part: str) -> None:
        block = np.ascontiguousarray(maps, np.float32)
        shape = (block.shape[1], block.shape[2])
        if len(block) != images or (any(self.shape) and shape != self.shape):
            raise ValueError(f"maps {block.shape} do not fit {images} scores and earlier maps {self.shape}")
        low, high = float(block.min()), float(block.max())
        if not np.isfinite([low, high]).all():
            raise FitError("the detector gave an anomaly map that is not finite")
        self.low, self.high, self.shape = min(self.low, low), max(self.high, high), shape
        self.counts[part] += images
        self.files[part].write(block.data)

    def write(self, archive: zipfile.ZipFile, declared: Range | None) -> None:
        low, high = self._range(declared)
        _write_array(archive, member("low", self.name), np.float64(low))
        _write_array(archive, member("high", self.name), np.float64(high))
        for part in PARTS:
            shape = (self.counts[part], *self.shape)
            with _member(archive, member(MAPS[part], self.name), shape, np.dtype("<u2")) as file:
                self.files[part].seek(0)
                while block := self.files[part].read(_CHUNK_BYTES):
                    file.write(quantise(np.frombuffer(block, np.float32), low, high).data)

    def _range(self, declared: Range | None) -> Range:
        if declared is None:
            return self.low, self.high
        slack = 1e-5 * (declared[1] - declared[0])
        if self.low < declared[0] - slack or self.high > declared[1] + slack:
            raise FitError(f"maps reach from {self.low:g} to {self.high:g}, declared was {declared}")
        return declared

    def remove(self) -> None:
        for part in PARTS:
            self.files[part].close()
            self.paths[part].unlink(missing_ok=True)


def quantise(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return the nearest uint16 codes of `values`; all zero when the range is a point."""
    if high <= low:
        return np.zeros(values.shape, np.uint16)
    codes = (values.astype(np.float64) - low) * (LEVELS / (high - low))
    return np.clip(np.rint(codes), 0, LEVELS).astype("<u2")


def _member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> IO[bytes]:
    file = archive.open(zipfile.ZipInfo(f"{name}.npy", _EPOCH), "w", force_zip64=True)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray | np.floating) -> None:
    values = np.asarray(array)
    with _member(archive, name, values.shape, values.dtype) as file:
        file.write(values.tobytes())
