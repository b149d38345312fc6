"""A stage's work in a process of its own, so that somebody is left to say what happened when it is killed.

The supervisor is small and waits. It ends the work when the build that asked for it is gone (a killed Snakemake sends
no signal), and reports a work that the system killed or that crashed. It knows processes by pidfd: Linux only;
elsewhere the work runs, but is not watched.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import resource
import select
import signal
import stat
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

BUILD = "CAVGA_BUILD"
"""Environment variable: the process of the build that jobs belong to, as `identity` gives it."""
GRACE_SECONDS = 60.0
"""Time for a fit to end its step and save when its build is gone; then it is killed."""
TAIL_LINES = 50
_ASKED = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
_PR_SET_PDEATHSIG = 1

Died = Callable[[str, list[str]], int]


def supervised(work: Callable[[], int], died: Died) -> int:
    """Run `work`, which returns a status, in a child process and return the status to exit with.

    A child that crashed or was killed is told to died(reason, log_tail), which returns the status. One that was asked
    to end (SIGTERM, Ctrl-C, the build is gone) gives 128 plus the signal.
    """
    watched = list(_watched())
    sys.stdout.flush()
    sys.stderr.flush()
    supervisor = os.getpid()
    child = os.fork()
    if child == 0:
        _be_child(supervisor, work)
    asked = _forward_signals(child)
    status = _wait(child, watched, asked)
    if status >= 0:
        return status
    number = signal.Signals(-status)
    if asked or number in _ASKED:
        return 128 + number
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return died(_reason(number), [*_log_tail(), f"{_reason(number)}; its peak memory was {peak:.0f} MB"])


def identity(process: int | str = "self") -> str | None:
    """Return what names a process for ever: boot and PID namespace, number, start time; None without /proc."""
    try:
        text = Path("/proc", str(process), "stat").read_text()
        number, _, rest = text.partition(" (")
        start = rest.rpartition(") ")[2].split()[19]
        return f"{Path('/proc/self/ns/pid').readlink()} {number} {start}"
    except (OSError, IndexError):
        return None


def _watched() -> Iterator[int]:
    """Yield pidfds of the processes without which the work has no purpose: the build and the shell between."""
    build = os.environ.get(BUILD, "")
    space, number, _ = build.split(" ") if build.count(" ") == 2 else ("", "0", "")
    here = identity()
    if here is None or space != here.split(" ")[0]:
        return  # no build, or one that this process cannot see: inside a container, on another machine
    if identity(number) != build:
        raise SystemExit(128 + signal.SIGTERM)  # the build died before this process came up
    for process in {int(number), os.getppid()}:
        with contextlib.suppress(OSError, AttributeError):
            yield os.pidfd_open(process)


def _be_child(supervisor: int, work: Callable[[], int]) -> NoReturn:
    """Work and end the process here: nothing of what the parent was about to do may happen twice."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor too, which passes on SIGTERM
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
        faulthandler.enable(2)
        status = work() if os.getppid() == supervisor else 128 + signal.SIGTERM
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _forward_signals(child: int) -> list[int]:
    """Pass requests to end on to the child: the first politely, the second not. Returns the list of those seen."""
    asked: list[int] = []

    def forward(number: int, _: object) -> None:
        asked.append(number)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM if len(asked) == 1 else signal.SIGKILL)

    for number in _ASKED:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or in the background of a script
            signal.signal(number, forward)
    return asked


def _wait(child: int, watched: list[int], asked: list[int]) -> int:
    """Return the child's exit code, negative for a signal; end it when a watched process has ended."""
    try:
        own = os.pidfd_open(child)
    except (OSError, AttributeError):
        watched = []
    if watched:
        poll = select.poll()
        for descriptor in (own, *watched):
            poll.register(descriptor, select.POLLIN)
        if own not in dict(poll.poll()):
            asked.append(signal.SIGTERM)
            print("the build is gone: saving and leaving", file=sys.stderr)
            os.kill(child, signal.SIGTERM)
            if not select.select([own], [], [], GRACE_SECONDS)[0]:
                os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _reason(number: signal.Signals) -> str:
    if number == signal.SIGKILL:
        return "the process was killed (SIGKILL): out of memory, or by hand"
    return f"the process crashed ({number.name}: {signal.strsignal(number)})"


def _log_tail() -> list[str]:
    """Return the last lines of the log that standard error goes to; none on a terminal or into a pipe."""
    try:
        if not stat.S_ISREG(os.fstat(2).st_mode):
            return []
        with open("/proc/self/fd/2", "rb") as file:  # noqa: PTH123  a link of the kernel's, no path
            file.seek(max(0, os.fstat(2).st_size - 16384))
            return file.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    except OSError:
        return []
