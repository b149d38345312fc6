"""The supervisor: what a work that ends, crashes, is killed or is asked to end comes to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from harness.workflow.supervise import BUILD, identity, supervised


def run(work):
    """Supervise `work` and return the status and what was told of a death."""
    deaths = []
    return supervised(work, lambda reason, tail: deaths.append((reason, tail)) or 3), deaths


@pytest.fixture(autouse=True)
def _own_handlers(monkeypatch):
    """Give pytest its signal handlers back, and no build around."""
    monkeypatch.delenv(BUILD, raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a fit in an earlier test of this process has left its own
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def die(number: int) -> int:
    os.kill(os.getpid(), number)
    time.sleep(60)
    return 0


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_works_status_is_passed_on(status):
    assert run(lambda: status) == (status, [])


def test_an_error_that_nobody_expected_gives_1():
    assert run(lambda: 1 // 0) == (1, [])


@pytest.mark.parametrize(
    ("number", "reason"),
    [(signal.SIGKILL, "the process was killed (SIGKILL): out of memory, or by hand"), (signal.SIGABRT, "SIGABRT")],
    ids=["killed", "aborted"],
)
def test_a_death_is_told_and_whoever_is_told_gives_the_status(number, reason):
    status, deaths = run(lambda: die(number))
    assert status == 3
    ((told, tail),) = deaths
    assert reason in told
    assert "peak memory" in tail[-1]


def test_a_work_that_was_asked_to_end_did_not_fail():
    assert run(lambda: die(signal.SIGTERM)) == (128 + signal.SIGTERM, [])


def test_the_work_runs_in_another_process():
    here = os.getpid()
    assert run(lambda: int(os.getpid() == here)) == (0, [])


def test_the_logs_tail_is_told(tmp_path):
    code = (
        "import os, sys; from harness.workflow.supervise import supervised\n"
        "def work():\n    print('step 41', file=sys.stderr)\n    os.kill(os.getpid(), 9)\n"
        "supervised(work, lambda reason, tail: print(tail) or 0)"
    )
    with (tmp_path / "log").open("w") as log:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, text=True, check=True)
    assert "'step 41'" in done.stdout


def test_the_work_ends_when_its_build_does(monkeypatch):
    build = subprocess.Popen(["sleep", "60"])
    monkeypatch.setenv(BUILD, identity(build.pid))
    child = os.fork()
    if child == 0:
        os._exit(run(lambda: time.sleep(60) or 0)[0])
    time.sleep(0.5)
    build.kill()
    build.wait()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM


def test_a_build_that_is_gone_before_its_job_starts_gets_no_work(monkeypatch):
    gone = identity().rpartition(" ")[0] + " 1"
    monkeypatch.setenv(BUILD, gone)
    with pytest.raises(SystemExit) as info:
        run(lambda: 0)
    assert info.value.code == 128 + signal.SIGTERM


@pytest.mark.parametrize("build", ["", "nonsense", "pid:[1] 2 3"], ids=["none", "nonsense", "another namespace"])
def test_without_a_build_in_sight_the_work_runs(monkeypatch, build):
    monkeypatch.setenv(BUILD, build)
    assert run(lambda: 0) == (0, [])


def test_a_process_is_told_from_a_later_one_of_its_number():
    assert identity() == identity(os.getpid())
    assert identity(1) != identity()
    assert identity(2**30) is None


def test_a_signal_that_was_ignored_before_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    supervisor = os.getpid()

    def work() -> int:
        os.kill(supervisor, signal.SIGHUP)
        return 0

    assert run(work) == (0, [])
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
