"""Where a number was measured: commit, machine, library versions. Collected by the stages that compute."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from harness.paths import ROOT

_LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "scikit-image", "pillow")


def commit() -> tuple[str, bool]:
    """Return the repository's commit and whether its tracked or new source files differ from it."""
    try:
        head = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain", "--", ":!records", ":!results")
    except (OSError, subprocess.CalledProcessError):
        return "unknown", True
    return head, bool(changed)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def libraries() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute."""
    installed = {
        d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions() if d.metadata["Name"]
    }
    return {"python": platform.python_version(), **{n: installed[n] for n in _LIBRARIES if n in installed}}


def hardware() -> dict[str, Any]:
    """Return processor, cores and memory of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"processor": _processor(), "cores": os.cpu_count(), "memory_bytes": memory}


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
