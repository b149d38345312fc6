"""Map files: 16-bit codes within half a step, streamed, and damage is noticed."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from harness.errors import EvidenceError, FitError
from harness.training.maps import LEVELS, MapsReader
from harness.training.maps_writer import MapsWriter


def write(path: Path, maps: np.ndarray | None, scores: np.ndarray, batch: int = 3, **how: object) -> MapsReader:
    with MapsWriter(path, np.arange(len(scores)) * 2, **how) as writer:
        for start in range(0, len(scores), batch):
            part = slice(start, start + batch)
            writer.add(None if maps is None else maps[part], scores[part])
    return MapsReader(path)


@pytest.fixture
def maps() -> np.ndarray:
    return np.random.default_rng(0).normal(3, 7, (10, 6, 5)).astype(np.float32)


def test_values_come_back_within_half_a_step(tmp_path: Path, maps: np.ndarray) -> None:
    reader = write(tmp_path / "a.npz", maps, np.arange(10.0))
    assert (reader.low, reader.high) == (float(maps.min()), float(maps.max()))
    codes = np.concatenate(list(reader.chunks(images=4)))
    assert codes.dtype == np.uint16
    assert abs(reader.values(codes) - maps).max() <= (reader.high - reader.low) / LEVELS / 2 * (1 + 1e-6)
    assert codes.min() == 0
    assert codes.max() == LEVELS
    assert (reader.maps([7, 2]) == codes[[7, 2]]).all()
    assert (reader.test_index == np.arange(10) * 2).all()
    assert reader.named_scores(None).tolist() == list(range(10))
    assert [len(chunk) for chunk in reader.chunks(images=4)] == [4, 4, 2]


def test_declared_range_is_kept_and_enforced(tmp_path: Path) -> None:
    maps = np.linspace(0.25, 0.75, 60, dtype=np.float32).reshape(3, 5, 4)
    reader = write(tmp_path / "a.npz", maps, np.zeros(3), map_range=(0.0, 1.0))
    assert (reader.low, reader.high) == (0.0, 1.0)
    with pytest.raises(FitError, match=r"maps reach from 0\.25 to 0\.75, declared was \(0, 0\.5\)"):
        write(tmp_path / "b.npz", maps, np.zeros(3), map_range=(0, 0.5))
    assert not (tmp_path / "b.npz").exists()


def test_code_is_the_first_that_reaches_a_threshold(tmp_path: Path, maps: np.ndarray) -> None:
    reader = write(tmp_path / "a.npz", maps, np.zeros(10))
    for threshold in (*np.linspace(maps.min(), maps.max(), 23), float(reader.values(np.array(777)))):
        code = reader.code(threshold)
        assert reader.values(np.array(code)) >= threshold - 1e-9
        assert code == 0 or reader.values(np.array(code - 1)) < threshold
    assert reader.code(reader.high + 1) == LEVELS + 1
    assert reader.code(reader.low - 1) == 0


def test_constant_maps_and_methods_without_maps(tmp_path: Path) -> None:
    reader = write(tmp_path / "a.npz", np.full((3, 2, 2), 0.3, np.float32), np.zeros(3))
    (codes,) = reader.chunks()
    assert (reader.values(codes) == np.float32(0.3)).all()
    assert reader.code(0.29) == 0
    assert reader.code(0.31) > LEVELS
    assert not write(tmp_path / "b.npz", None, np.arange(3.0)).has_maps


def test_validation_maps_share_the_range(tmp_path: Path, maps: np.ndarray) -> None:
    with MapsWriter(tmp_path / "a.npz", np.arange(10)) as writer:
        writer.add(maps, np.zeros(10))
        writer.add(maps[:2] * 4, np.ones(2), "validation")
    reader = MapsReader(tmp_path / "a.npz")
    codes = np.concatenate(list(reader.chunks("validation")))
    assert abs(reader.values(codes) - maps[:2] * 4).max() <= (reader.high - reader.low) / LEVELS
    assert reader.named_scores(None, "validation").tolist() == [1, 1]


def test_bytes_depend_on_the_maps_alone(tmp_path: Path, maps: np.ndarray) -> None:
    write(tmp_path / "a.npz", maps, np.zeros(10), batch=1)
    write(tmp_path / "b.npz", maps, np.zeros(10), batch=7)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_the_file_too(tmp_path: Path, maps: np.ndarray) -> None:
    reader = write(tmp_path / "a.npz", maps, np.zeros(10))
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content:
        assert (content["maps"] == np.concatenate(list(reader.chunks()))).all()
        assert content["validation_maps"].shape == (0, 6, 5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_a_failed_fit(tmp_path: Path, maps: np.ndarray, bad: float) -> None:
    maps[4, 1, 1] = bad
    with pytest.raises(FitError, match="map that is not finite"):
        write(tmp_path / "a.npz", maps, np.zeros(10))
    with pytest.raises(FitError, match="score that is not a number"):
        write(tmp_path / "a.npz", None, np.array([0, bad]))
    assert list(tmp_path.iterdir()) == [], "something half-written is left"


def test_damage_is_noticed(tmp_path: Path, maps: np.ndarray) -> None:
    write(tmp_path / "a.npz", maps, np.zeros(10))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        place = archive.getinfo("maps.npy").header_offset + 400
    content[place] ^= 1
    (tmp_path / "b.npz").write_bytes(content)
    with pytest.raises(EvidenceError, match="delete it and export again"):
        list(MapsReader(tmp_path / "b.npz").chunks())
    (tmp_path / "c.npz").write_bytes(content[: len(content) // 2])
    with pytest.raises(EvidenceError, match="damaged map file"):
        MapsReader(tmp_path / "c.npz")


def test_memory_does_not_grow_with_the_number_of_maps(tmp_path: Path) -> None:
    block = np.random.default_rng(0).random((8, 128, 128), dtype=np.float32)
    peaks = []
    for blocks in (16, 64):
        tracemalloc.start()
        with MapsWriter(tmp_path / "a.npz", np.arange(8 * blocks)) as writer:
            for _ in range(blocks):
                writer.add(block, np.zeros(8))
        for _ in MapsReader(tmp_path / "a.npz").chunks():
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (tmp_path / "a.npz").stat().st_size > 16_000_000
    assert peaks[1] < 1.3 * peaks[0]
