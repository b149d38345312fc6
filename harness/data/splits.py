"""The splits that are drawn once per seed and frozen in the manifest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.data.draws import named_generator

SMALLEST_VALIDATION = 5


def validation_indices(seed: int, dataset: str, category: str, images: int, share: float) -> list[int]:
    """Draw the training images held out for validation: `share` of them, at least five, never more than half."""
    count = min(max(SMALLEST_VALIDATION, round(share * images)), images // 2)
    return _draw(named_generator(seed, dataset, category, "validation"), np.arange(images), count)


@dataclass(frozen=True)
class WeakSplit:
    """Indices of the test images that train weakly supervised methods, and of all that therefore leave the test set."""

    moved: list[int]
    left_out: list[int]


def weak_split(
    seed: int, dataset: str, category: str, anomalous: np.ndarray, share: float, clips: list[str]
) -> WeakSplit:
    """Draw the anomalous test images that move into weakly supervised training.

    Their number is `share` of the whole test set (CAVGA: 2 %), at least one, never more than half of the anomalous
    ones. `anomalous` is the (M,) flag of every test image. Where `clips` (M) names their videos, whole clips are drawn
    until they hold that number, and all their frames leave the test set: neighbouring frames are nearly equal. A clip
    that holds more than half of the anomalous frames is never drawn; where there is no other, single frames are.
    """
    candidates = np.flatnonzero(anomalous)
    count = min(max(1, round(share * len(anomalous))), len(candidates) // 2)
    random = named_generator(seed, dataset, category, "weak")
    of_clip = np.array(clips)
    drawn = (
        _draw_clips(named_generator(seed, dataset, category, "weak clips"), of_clip[candidates], count) if clips else []
    )
    if not drawn:
        moved = _draw(random, candidates, count)
        return WeakSplit(moved, moved)
    inside = np.isin(of_clip, drawn)
    moved = _draw(random, np.flatnonzero(anomalous & inside), count)
    return WeakSplit(moved, [int(index) for index in np.flatnonzero(inside)])


def _draw_clips(random: np.random.Generator, clips: np.ndarray, count: int) -> list[str]:
    """Draw names of clips, given the clip of each anomalous frame, until they hold `count`; at most half of all."""
    names, sizes = np.unique(clips, return_counts=True)
    drawn, held = list[str](), 0
    for index in random.permutation(len(names)):
        if held < count and held + sizes[index] <= len(clips) // 2:
            drawn.append(str(names[index]))
            held += int(sizes[index])
    return drawn if held >= count else []


def _draw(random: np.random.Generator, candidates: np.ndarray, count: int) -> list[int]:
    drawn = random.choice(candidates, size=count, replace=False)
    return sorted(int(index) for index in drawn)
