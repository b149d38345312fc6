"""Which GPU a process may use: a file lock per device, freed by the kernel when its holder dies.

`python -m harness.workflow.lease` prints how many fits may use this machine's GPUs at a time; the default profile
reads it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from harness.cell import Config
from harness.config import load_config
from harness.gpus import VISIBLE, visible_devices


@contextmanager
def leased_device(config: Config, work: Path) -> Iterator[str | None]:
    """Hold one GPU while the block runs, by setting CUDA_VISIBLE_DEVICES before CUDA starts.

    Snakemake counts GPUs but does not say which one a job gets. Where the choice is made already (a cluster gave the
    job its one device, `device` names one, or there is no GPU) nothing is leased and None is yielded.
    """
    devices = visible_devices()
    if config.device not in {"auto", "cuda"} or not devices or _is_given(devices):
        yield None
        return
    name, file = _wait(devices, config.fits_per_gpu, work / "locks" / _place())
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = name
    try:
        yield name
    finally:
        file.close()
        os.environ.pop(VISIBLE) if before is None else os.environ.update({VISIBLE: before})


def slots(config: Config) -> int:
    """Return how many fits may use this machine's GPUs at a time."""
    return 0 if config.device == "cpu" else len(visible_devices()) * int(config.fits_per_gpu)


def _is_given(devices: list[str]) -> bool:
    """Tell whether a cluster gave this job one device, which then is nobody else's."""
    return len(devices) == 1 and "SLURM_JOB_ID" in os.environ


def _place() -> str:
    """Return within what device names mean one thing: a host, or a SLURM job, whose devices may count from 0."""
    job = os.environ.get("SLURM_JOB_ID")
    return socket.gethostname() + (f"-{job}" if job else "")


def _wait(devices: list[str], slots: int, folder: Path) -> tuple[str, IO[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    said = False
    while True:
        for slot in range(slots):
            for name in devices:
                file = (folder / f"gpu-{name}-{slot}.lock").open("w")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return name, file
                except BlockingIOError:
                    file.close()
        if not said:
            print(f"waiting for a free GPU among {', '.join(devices)}; locks in {folder}", file=sys.stderr)
            said = True
        time.sleep(0.5)


if __name__ == "__main__":
    print(slots(load_config()))
