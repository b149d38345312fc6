"""Image-level measures: AuROC of the scores, accuracies at a threshold, and policies that choose that threshold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from harness.metrics.thresholds import fixed_value

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


def image_auroc(scores: Scores, anomalous: Flags, weights: NDArray | None = None) -> float | None:
    """Return the exact area under the ROC curve of scores (M,), ties counted half; None with a single class.

    `weights` (M,) says how often each image counts.
    """
    ranks = np.unique(scores, return_inverse=True)[1]
    return ranked_auroc(ranks, anomalous, np.ones(scores.size) if weights is None else weights)


def ranked_auroc(ranks: NDArray[np.intp], anomalous: Flags, weights: NDArray) -> float | None:
    """Return the weighted AuROC of images by the rank (0, 1, …, equal for ties) of their scores; None undefined."""
    size = int(ranks.max(initial=-1)) + 1
    positive = np.bincount(ranks[anomalous], weights[anomalous], size)
    negative = np.bincount(ranks[~anomalous], weights[~anomalous], size)
    pairs = positive.sum() * negative.sum()
    if not pairs:
        return None
    return float(positive @ (negative.cumsum() - negative / 2) / pairs)


def accuracy(predicted: Flags, anomalous: Flags) -> float | None:
    """Return the share of images (M,) that are predicted right; None without images."""
    return float(np.mean(predicted == anomalous)) if anomalous.size else None


def class_accuracy(predicted: Flags, anomalous: Flags) -> float | None:
    """Return the mean of the accuracies on normal and on anomalous images; None if either is missing."""
    if anomalous.all() or not anomalous.any():
        return None
    return float((np.mean(predicted[anomalous]) + np.mean(~predicted[~anomalous])) / 2)


MEASURES = {"class_accuracy": class_accuracy, "accuracy": accuracy}


@dataclass(frozen=True)
class Decision:
    """Images predicted anomalous, (M,) bool or None when the policy cannot be followed, and the score threshold."""

    predicted: Flags | None
    threshold: float | None
    note: str | None


def best_threshold(scores: Scores, anomalous: Flags, measure: str) -> float:
    """Return the score threshold with the highest `measure` ("accuracy" or "class_accuracy") on these images.

    Tried are the midpoints between neighbouring sorted scores, and marking all or no image; of equals, the lowest.
    """
    values, ranks = np.unique(scores, return_inverse=True)
    middles = values[:-1] + np.diff(values) / 2
    # a midpoint of neighbouring floats rounds to the lower one: the upper one separates the same images
    middles = np.where(middles > values[:-1], middles, values[1:])
    candidates = np.concatenate([values[:1], middles, np.nextafter(values[-1:], np.inf)])
    # images right at candidate k: anomalous ones of rank >= k and normal ones of rank < k
    found = np.append(np.bincount(ranks[anomalous], minlength=values.size)[::-1].cumsum()[::-1], 0)
    passed = np.insert(np.bincount(ranks[~anomalous], minlength=values.size).cumsum(), 0, 0)
    if measure == "class_accuracy":
        right = found / max(1, anomalous.sum()) + passed / max(1, (~anomalous).sum())
    else:
        right = (found + passed).astype(float)
    return float(candidates[right.argmax()])


def decide(
    policy: str,
    measure: str,
    scores: Scores,
    anomalous: Flags,
    validation_scores: Scores | None,
    regions: Flags | None,
) -> Decision:
    """Return which images (M,) a policy predicts to be anomalous.

    "fixed:t": score >= t as it is, for scores with a scale of their own such as probabilities. "normalised:t": score
    min-max normalised over these images >= t. "best_on_test": oracle for `measure`. "max_normal_validation": above the
    largest score of the validation images. "region": `regions` (M,), where the map holds a region of the minimum area.
    Raises ConfigError when there is no such policy.
    """
    fixed, share = fixed_value(policy), fixed_value(policy, "normalised")
    if fixed is not None:
        return _from_threshold(scores, fixed, None)
    if share is not None:
        return _normalised(scores, share)
    if policy == "best_on_test":
        return _from_threshold(
            scores, best_threshold(scores, anomalous, measure), "oracle: chosen with the test labels"
        )
    if policy == "max_normal_validation":
        if validation_scores is None or not validation_scores.size:
            return Decision(None, None, "no anomaly-free validation images")
        return _from_threshold(scores, float(np.nextafter(validation_scores.max(), np.inf)), None)
    if policy == "region":
        return Decision(regions, None, None if regions is not None else "no map threshold to find regions with")
    known = "fixed:<number>, normalised:<number>, best_on_test, max_normal_validation, region"
    raise ConfigError(f"image threshold policy '{policy}' is unknown; use one of {known}")


def _normalised(scores: Scores, threshold: float) -> Decision:
    low, span = scores.min(), np.ptp(scores)
    if not span:
        return Decision(np.full(scores.shape, threshold <= 0), None, "all scores are equal; taken as 0")
    note = "scores normalised to [0, 1] over the test images"
    return Decision((scores - low) / span >= threshold, float(low + threshold * span), note)


def _from_threshold(scores: Scores, threshold: float, note: str | None) -> Decision:
    return Decision(scores >= threshold, threshold, note)
