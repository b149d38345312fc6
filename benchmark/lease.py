"""Which GPU a process may use: a file lock per device, freed by the kernel when its holder dies."""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

VISIBLE = "CUDA_VISIBLE_DEVICES"


@contextmanager
def leased_device(config: Mapping[str, Any], work: Path) -> Iterator[str | None]:
    """Hold one GPU while the block runs, by setting CUDA_VISIBLE_DEVICES before CUDA starts.

    Snakemake counts GPUs but does not say which one a job gets. Where the choice is made already (a cluster set the
    variable to one device, `device` names one, or there is no GPU) nothing is leased and None is yielded.
    """
    devices = _candidates()
    if config["device"] not in {"auto", "cuda"} or len(devices) == 0 or _set_by_scheduler():
        yield None
        return
    name, file = _wait(devices, config["fits_per_gpu"], work / "locks")
    before = os.environ.get(VISIBLE)
    os.environ[VISIBLE] = name
    try:
        yield name
    finally:
        file.close()
        os.environ.pop(VISIBLE) if before is None else os.environ.update({VISIBLE: before})


def visible_devices() -> list[str]:
    """Return the GPUs that this process may see, without starting CUDA."""
    return _candidates()


def _set_by_scheduler() -> bool:
    return "SLURM_JOB_ID" in os.environ and VISIBLE in os.environ


def _candidates() -> list[str]:
    """Return the devices that this process may see, without starting CUDA."""
    if VISIBLE in os.environ:
        return [name for name in os.environ[VISIBLE].split(",") if name.strip() and name.strip() != "-1"]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [str(number) for number, line in enumerate(listing.splitlines()) if line.startswith("GPU")]


def _wait(devices: list[str], slots: int, folder: Path) -> tuple[str, IO[str]]:
    folder.mkdir(parents=True, exist_ok=True)
    while True:
        for slot in range(slots):
            for name in devices:
                file = (folder / f"gpu-{name}-{slot}.lock").open("w")
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return name, file
                except BlockingIOError:
                    file.close()
        time.sleep(0.5)
