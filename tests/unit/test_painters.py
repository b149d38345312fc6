"""The painters that all loader tests rest on write the same bytes on every call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests import painters

PAINTERS: dict[str, Callable[[Path], object]] = {
    "mvtec": painters.mvtec,
    "idx": painters.idx,
    "cifar_batches": painters.cifar_batches,
    "class_tree": lambda folder: painters.class_tree(folder, ["nut", "bolt"]),
    "shanghaitech": painters.shanghaitech,
    "lag": painters.lag,
    "table": painters.table,
    "tar": lambda folder: painters.archive(painters.mvtec(folder), folder / "pack" / "bottle.tar.xz"),
    "zip": lambda folder: painters.archive(painters.mvtec(folder), folder / "pack" / "bottle.zip"),
}


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", PAINTERS)
def test_painter_writes_the_same_bytes_every_time(tmp_path: Path, name: str) -> None:
    for place in ("a", "b"):
        PAINTERS[name](tmp_path / place)
    assert len(content(tmp_path / "a")) > 3
    assert content(tmp_path / "a") == content(tmp_path / "b")
