"""The splits that are drawn once per seed and frozen in the manifest."""

from __future__ import annotations

import numpy as np

from harness.training.seeds import derive_seed

SMALLEST_VALIDATION = 5


def validation_indices(seed: int, dataset: str, category: str, images: int, share: float) -> list[int]:
    """Draw the training images held out for validation: `share` of them, at least five, never more than half."""
    count = min(max(SMALLEST_VALIDATION, round(share * images)), images // 2)
    return _draw(derive_seed(seed, dataset, category, "validation"), np.arange(images), count)


def weak_indices(seed: int, dataset: str, category: str, anomalous: np.ndarray, share: float) -> list[int]:
    """Draw the anomalous test images that move into weakly supervised training.

    Their number is `share` of the whole test set (CAVGA: 2 %), at least one, never more than half of the anomalous
    ones. `anomalous` is the (M,) flag of every test image.
    """
    candidates = np.flatnonzero(anomalous)
    count = min(max(1, round(share * len(anomalous))), len(candidates) // 2)
    return _draw(derive_seed(seed, dataset, category, "weak"), candidates, count)


def _draw(seed: int, candidates: np.ndarray, count: int) -> list[int]:
    drawn = np.random.default_rng(seed).choice(candidates, size=count, replace=False)
    return sorted(int(index) for index in drawn)
