"""Where and how a fit computes: device, precision, threads, determinism."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

import torch

from harness.errors import ConfigError


def choose_device(wish: str) -> torch.device:
    """Return the device for "auto", "cpu", "cuda" or "cuda:1". Raises ConfigError when there is none such."""
    if wish == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wish.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device '{wish}': this machine shows no CUDA device; set `device: cpu` or `auto`")
    return torch.device(wish)


def choose_precision(wish: str, device: torch.device) -> str:
    """Return "float32" or "bfloat16"; "auto" takes bfloat16 where the hardware multiplies it natively.

    avx512_bf16 without AMX is enough: there CAVGA's networks ran 1.9 to 2.1 times as fast (docs/training.md).
    """
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if _cpu_flags() & {"amx_bf16", "avx512_bf16"} else "float32"


def _cpu_flags() -> set[str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def set_up(device: torch.device, threads: int, deterministic: bool) -> None:
    """Fix what would otherwise let two runs with one seed differ. Call before any CUDA work."""
    torch.set_num_threads(threads)
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=device.type == "cpu")
        torch.backends.cudnn.benchmark = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def describe(device: torch.device) -> dict[str, str]:
    """Return what a record says of the device: its type, and name and CUDA version of a GPU."""
    if device.type != "cuda":
        return {"device": device.type}
    return {"device": "cuda", "gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda)}


def peak_memory(device: torch.device) -> int:
    """Return the peak of memory that tensors took on a GPU, of resident memory elsewhere, in bytes."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
