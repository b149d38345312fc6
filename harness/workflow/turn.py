"""One build at a time in a folder, by a lock that dies with its holder, and no unlocking after a crash.

Snakemake's own lock is a file that a killed Snakemake leaves behind, and that refuses the next one. Here the kernel
holds the lock (flock): whoever has it knows that no other build lives, so what Snakemake left behind may go.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.data.atomic import write_text
from harness.workflow.committed import brought_along
from harness.workflow.job_status import all_attempts
from harness.workflow.tidy import tidy

FOLDER = Path(".snakemake")


class Turn:
    """Makes a workflow wait, before it plans, until it is the only build in the current folder.

    It also lifts Snakemake's limit on jobs a second where jobs run on this machine, since cores limit them already, and
    has committed results made afresh (`committed`).

    Attributes:
        began: the file with the numbers of failures when the build's turn came; more of them are its own.
    """

    began = FOLDER / "failures.json"

    def __init__(self, workflow: Any, tables: Collection[str]) -> None:
        self._workflow, self._execute, self._tables = workflow, workflow.execute, tables
        if workflow.is_main_process:
            # Snakemake calls no hook of ours before it plans, and a plan made while another build works is worthless.
            workflow.execute = self.execute

    def execute(self, *, executor_plugin: Any, **settings: Any) -> None:
        """Run Snakemake's `Workflow.execute` when it is this build's turn; a dry run need not wait."""
        asked = self._workflow.dag_settings
        afresh = brought_along(asked.targets, self._tables)
        self._workflow.dag_settings = replace(asked, forcerun=frozenset(asked.forcerun) | afresh)
        if executor_plugin.common_settings.dryrun_exec:
            self._execute(executor_plugin=executor_plugin, **settings)
            return
        with alone(FOLDER):
            write_text(self.began, json.dumps(all_attempts(Path("work"))))
            tidy(Path())
            if executor_plugin.common_settings.local_exec:
                # With a limit, Snakemake 9 sets a new timer each time it looks for jobs, and each timer makes it look
                # again: after a thousand jobs it looks a thousand times a second.
                self._workflow.scheduling_settings.max_jobs_per_timespan = None
            self._execute(executor_plugin=executor_plugin, **settings)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the folder's build lock; wait for a living holder and name it, and clear up after a dead one."""
    folder.mkdir(exist_ok=True)
    with (folder / "build.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            print(f"another build is at work in this folder ({holder}); waiting for it to end", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            # A file system without flock: Snakemake's own lock, which nobody then clears, has to do.
            print(f"no build lock here ({error.strerror}): after a crash, run snakemake --unlock", file=sys.stderr)
            yield
            return
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        for left in (folder / "locks").glob("*.lock"):
            left.unlink(missing_ok=True)
        yield
