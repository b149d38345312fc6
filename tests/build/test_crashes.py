"""Killed, interrupted and doubled builds: the same command goes on, alone, without unlocking, to the same bytes."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.small import Small, alive, descendants, kill, snakemake, wait_for, words

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("crashes")]
WEIGHTS = "work/fits/{}/weights.safetensors"


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One method whose steps take a while, on two categories; the first one's chain is built and is the reference."""
    small = Small(tmp_path_factory.mktemp("crashes"), ("none",))
    small.add_troubled(("none",), pause=0.3)
    status, output = small.build()
    assert status == 0, output
    shutil.copytree(small.place, small.place.with_name("reference"))
    return small


@pytest.fixture
def running(small):
    """A build that trains the first category again, in a fit that has a checkpoint; its process and the fit's."""
    shutil.rmtree(small.place)
    shutil.copytree(small.place.with_name("reference"), small.place)
    key = small.key("bottle/none")
    shutil.rmtree(small.place / "work/fits" / key)
    small.records()["bottle/none"].unlink()
    for path in (small.place / "results/tiny").glob("mini.*"):
        path.unlink()
    build = small.start(make=True)
    checkpoint = small.place / "work/fits" / key / "checkpoint.pt"
    wait_for(lambda: checkpoint.exists() or build.poll() is not None, "a checkpoint")
    fits = [process for process in descendants(build.pid) if "harness fit" in words(process)]
    yield build, fits, checkpoint
    for process in [snakemake(build.pid), *fits]:
        kill(process)
    build.wait()


def completes(small: Small) -> str:
    """Build again and check that it went on from the checkpoint to the reference's bytes. Returns the fit's log."""
    status, output = small.build(make=True)
    assert status == 0, output
    key = small.key("bottle/none")
    for name in (WEIGHTS.format(key), f"work/fits/{key}/maps.npz", "results/tiny/mini.json", "results/tiny/mini.html"):
        assert (small.place / name).read_bytes() == (small.place.with_name("reference") / name).read_bytes(), name
    log = (small.place / f"work/logs/fit/{key}.log").read_text()
    assert "train goes on at step" in log
    return log


def test_no_fit_outlives_a_killed_snakemake_and_no_unlock_is_needed(small, running):
    build, fits, _ = running
    kill(snakemake(build.pid))
    build.wait()
    wait_for(lambda: not any(map(alive, fits)), "the orphans to end", 90)
    assert list((small.place / ".snakemake/locks").glob("*.lock")), "what Snakemake itself leaves behind"
    completes(small)


def test_a_build_may_start_again_at_once_after_a_kill(small, running):
    build, _, _ = running
    kill(snakemake(build.pid))
    build.wait()
    completes(small)


def test_the_work_ends_when_the_shell_or_the_supervisor_around_it_is_killed(small, running):
    build, fits, _ = running
    shells = [process for process in descendants(build.pid) if words(process).startswith("/bin/bash")]
    kill(shells[0] if shells else fits[0])
    wait_for(lambda: not any(map(alive, fits)), "the fit to end", 90)
    assert build.wait() != 0
    assert small.failures() == {}
    completes(small)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_build_that_is_asked_to_end_saves_and_records_no_failure(small, running, number):
    build, fits, checkpoint = running
    os.killpg(build.pid, number)
    assert build.wait() != 0
    assert not any(map(alive, fits))
    assert checkpoint.exists()
    assert small.failures() == {}
    completes(small)


def test_a_second_build_waits_says_so_and_finds_everything_done(small, running):
    build, _, _ = running
    second = small.start(make=True)
    output = second.communicate()[0]
    assert build.communicate() is not None
    assert (build.returncode, second.returncode) == (0, 0), output
    assert "another build is at work in this folder" in output
    assert "Nothing to be done" in output


def test_a_dry_run_does_not_wait(small, running):
    build, _, _ = running
    assert small.build("-n", "results/tiny/mini.tex")[0] == 0
    assert build.poll() is None, "the build was still at work"


def test_a_checkpoint_of_other_data_is_not_resumed(small, running):
    build, fits, checkpoint = running
    kill(snakemake(build.pid))
    build.wait()
    wait_for(lambda: not any(map(alive, fits)), "the orphans to end", 90)
    checkpoint.with_name("checkpoint.data").write_text("0" * 64)
    status, output = small.build(make=True)
    assert status == 0, output
    log = (small.place / f"work/logs/fit/{small.key('bottle/none')}.log").read_text()
    assert "the data have changed since its checkpoint; starting afresh" in log
    assert "goes on at step" not in log
