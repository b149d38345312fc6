"""Random generators by name, so that each split and each painted image has its own stream on every machine."""

from __future__ import annotations

import hashlib

import numpy as np


def named_generator(base: int, *names: str | int) -> np.random.Generator:
    """Return the generator that depends on the seed `base` and every name, and on nothing else."""
    text = "\x1f".join(map(str, (base, *names)))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1)
