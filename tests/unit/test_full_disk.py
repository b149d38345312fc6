"""A full disk ends a stage; it is no failure of the method, and what was saved before stays."""

from __future__ import annotations

import errno
from dataclasses import asdict

import pytest
import torch

from harness.errors import disk_full
from harness.training.checkpoint import Checkpoint
from harness.training.fit import fit


def wrapped(number: int) -> RuntimeError:
    """Return what torch.save raises when the disk fills up under it: an error of its own that has lost the cause."""
    try:
        lose(number)
    except RuntimeError as error:
        return error
    raise AssertionError


def lose(number: int) -> None:
    try:
        raise OSError(number, "full")
    except OSError:
        raise RuntimeError("[enforce fail at inline_container.cc:671] . unexpected pos 704 vs 598")  # noqa: B904 – as torch does


@pytest.fixture
def run(demo, prepared, tmp_path):
    """Return a function that fits one cell of the demo in three steps, with a checkpoint after each."""
    cell = demo.cell("mvtec_ad", "brick", "ae_l2", 0)
    settings = asdict(demo.settings(cell))
    settings["training"] |= {"images_seen": 48, "batch_size": 16}
    return lambda: fit(
        settings, prepared(cell), tmp_path, seed=0, names=("full",), device=torch.device("cpu"),
        precision="float32", checkpoint_seconds=0.0,
    )  # fmt: skip


def test_a_checkpoint_that_cannot_be_written_ends_the_fit_and_leaves_the_last_one(run, tmp_path, monkeypatch):
    save = Checkpoint._save

    def save_then_die(self, *arguments):
        save(self, *arguments)
        raise KeyboardInterrupt

    def fill(*_):
        lose(errno.ENOSPC)

    monkeypatch.setattr(Checkpoint, "_save", save_then_die)
    with pytest.raises(KeyboardInterrupt):
        run()
    monkeypatch.setattr(Checkpoint, "_save", save)
    monkeypatch.setattr(torch, "save", fill)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(RuntimeError) as info:
        run()
    assert disk_full(info.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_seen_behind_a_librarys_own_error(number):
    assert disk_full(wrapped(number))
    assert disk_full(Exception("I/O error: No space left on device (os error 28)"))


def test_other_errors_are_not_a_full_disk():
    assert not disk_full(RuntimeError("shapes differ"))
    assert not disk_full(wrapped(errno.EACCES))
