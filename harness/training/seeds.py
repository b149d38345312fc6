"""Seeds derived by hashing, so that each (base seed, dataset, category, method) has its own stream."""

from __future__ import annotations

import hashlib


def derive_seed(base: int, *names: str | int) -> int:
    """Return a 63-bit seed that depends on `base` and every name, and on nothing else.

    Derived before anything is built, so freshly initialised weights are inside the seed.
    """
    text = "\x1f".join([str(base), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
