"""Which GPUs this process may see, found without starting CUDA."""

from __future__ import annotations

import os
import shutil
import subprocess
from itertools import takewhile

VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_devices() -> list[str]:
    """Return the devices that this process may see; CUDA ignores what follows a -1."""
    if VISIBLE in os.environ:
        names = [name.strip() for name in os.environ[VISIBLE].split(",")]
        return [name for name in takewhile(lambda name: name != "-1", names) if name]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    found = [line for line in listing.splitlines() if line.startswith("GPU")]
    return [str(number) for number in range(len(found))]


def in_reach(device: str) -> bool:
    """Tell whether fits planned here may get a GPU: one of this machine, or of the nodes to which it submits jobs."""
    if device == "cpu":
        return False
    return device.startswith("cuda") or bool(visible_devices()) or shutil.which("sbatch") is not None
