"""Grades one category's maps and scores: every measure under every policy, in two streaming passes over the maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, DataError
from harness.metrics import bootstrap, image
from harness.metrics.histogram import Counts, code_at
from harness.metrics.image_set import ImageSet, Maps, Masks
from harness.metrics.iou import iou
from harness.metrics.measures import OF_DECISIONS, OF_MASKS, OF_PIXELS, OF_SCORES, Graded, View
from harness.metrics.passes import Pixels, first_pass, second_pass
from harness.metrics.results import Evaluation, Measured, MeasureSettings
from harness.metrics.thresholds import MapThresholds, Threshold
from harness.metrics.views import DecisionView, Flags, MaskView, PixelView, ScoreView

Scores = NDArray[np.float64]


def evaluate(
    maps: Maps | None,
    low: float,
    high: float,
    masks: Masks | None,
    anomalous: Flags,
    scores: Scores,
    validation_maps: Maps | None,
    validation_scores: Scores | None,
    settings: MeasureSettings,
) -> Evaluation:
    """Measure M test images of one category.

    Args:
        maps: gives the M maps, uint16 (H,W), anew each time it is called; None for methods without maps.
        low: map value of code 0.
        high: map value of code 65,535.
        masks: (M,H,W) uint8 {0,1}, read one at a time; None where the dataset has none.
        anomalous: (M,) the images' labels.
        scores: (M,) finite, higher means more anomalous.
        validation_maps: gives the maps of the anomaly-free validation images, like `maps`.
        validation_scores: (V,) their scores.
        settings: policies and constants.

    Raises DataError when sizes do not match, there is no image or a score is not finite, ConfigError for an unknown
    policy.
    """
    anomalous, scores = np.asarray(anomalous, bool), np.asarray(scores, float)
    if not scores.size:
        raise DataError("no test images to evaluate; prepare the dataset again")
    if anomalous.shape != scores.shape or scores.ndim != 1 or (masks is not None and len(masks) != scores.size):
        given = f"{scores.shape} scores, {anomalous.shape} labels, {'no' if masks is None else len(masks)} masks"
        raise DataError(f"{given}: not one for each image; export again")
    _check_finite(low, high, scores, validation_scores)
    maps = _emptied(maps, scores, anomalous, validation_scores, settings)
    weights = bootstrap.resample(anomalous, settings.bootstrap, settings.seed)
    test = ImageSet(maps, low, high, masks, anomalous, scores, weights)
    pixels = first_pass(test)
    thresholds = _thresholds(test, pixels, validation_maps, settings)
    images = second_pass(test, pixels, thresholds, settings)
    view = None if pixels.view is None else replace(pixels.view, per_image=images.overlaps)
    measures = [
        *_results(OF_PIXELS, view, note=pixels.note),
        *_of_masks(view, pixels, thresholds, images.counts),
        *_results(OF_SCORES, ScoreView(scores, anomalous, weights)),
        *_of_decisions(test, validation_scores, images.regions, thresholds, settings),
    ]
    rows = _image_rows(test, thresholds, images.counts)
    return Evaluation(tuple(measures), _curve(test, pixels, settings.curve_points), rows)


def _emptied(
    maps: Maps | None, scores: Scores, anomalous: Flags, validation_scores: Scores | None, settings: MeasureSettings
) -> Maps | None:
    """Leave nothing of the maps of images that the first image policy calls normal, where that is asked for."""
    if maps is None or not settings.empty_when_normal:
        return maps
    policy = settings.image_policies[0]
    predicted = image.decide(policy, "class_accuracy", scores, anomalous, validation_scores, None).predicted
    if predicted is None:
        raise ConfigError(f"empty_when_normal: image_threshold '{policy}' decides on no image before its map is read")
    return lambda: (codes if flag else np.zeros_like(codes) for codes, flag in zip(maps(), predicted, strict=True))


def _check_finite(low: float, high: float, scores: Scores, validation_scores: Scores | None) -> None:
    groups = {"image scores": scores, "ends of the maps' range": np.array([low, high])}
    if validation_scores is not None:
        groups["validation scores"] = np.asarray(validation_scores, float)
    for name, values in groups.items():
        wrong = np.count_nonzero(~np.isfinite(values))
        if wrong:
            raise DataError(f"{wrong} of {values.size} {name} are not finite; train again")


def _thresholds(test: ImageSet, pixels: Pixels, validation: Maps | None, settings: MeasureSettings) -> list[Threshold]:
    resolver = MapThresholds(test.low, test.high, settings.minimum_area, settings.own_threshold)
    if test.maps is None:
        return [Threshold(policy, None, None, pixels.note) for policy in settings.map_policies]
    maps = validation() if validation is not None and "normal_validation" in settings.map_policies else None
    curves = None if pixels.view is None else pixels.view.curves
    return [resolver.resolve(policy, curves, maps) for policy in settings.map_policies]


def _results(
    measures: Sequence[Graded[View]],
    view: View | None,
    threshold: Threshold | None = None,
    note: str | None = None,
) -> Iterator[Measured]:
    """Give the measures of one view; without one they are undefined, and `note` says why."""
    policy, at = (None, None) if threshold is None else (threshold.policy, threshold.value)
    for measure in measures:
        value = None if view is None else measure.function(view)
        bounds = None
        if view is not None and value is not None and measure.replicates is not None:
            bounds = bootstrap.interval(measure.replicates(view))
        reason = note if view is None or value is not None else measure.undefined
        yield Measured(measure.id, policy, at, value, reason, bounds)


def _of_masks(
    view: PixelView | None, pixels: Pixels, thresholds: list[Threshold], counts: Counts
) -> Iterator[Measured]:
    for number, threshold in enumerate(thresholds):
        at = None
        if view is not None and threshold.code is not None:
            at = MaskView(view, threshold.code, counts[:, number])
        note = threshold.note if threshold.code is None else pixels.note or threshold.note
        yield from _results(OF_MASKS, at, threshold, note)


def _of_decisions(
    test: ImageSet,
    validation_scores: Scores | None,
    regions: Flags | None,
    thresholds: list[Threshold],
    settings: MeasureSettings,
) -> Iterator[Measured]:
    for policy in settings.image_policies:
        for measure in OF_DECISIONS:
            choice = image.decide(policy, measure.id, test.scores, test.anomalous, validation_scores, regions)
            view = None if choice.predicted is None else DecisionView(choice.predicted, test.anomalous)
            note = choice.note
            if policy == "region" and regions is not None:
                share = f"{100 * settings.minimum_area:g} %"
                note = f"a region of at least {share} of the pixels at the map threshold {thresholds[0].policy}"
            yield from _results([measure], view, Threshold(policy, choice.threshold, None), note)


def _image_rows(test: ImageSet, thresholds: list[Threshold], counts: Counts) -> list[dict[str, float | None]]:
    values = np.full(test.scores.size, np.nan)
    if not test.missing() and thresholds and thresholds[0].code is not None:
        masked = counts[:, 0, 0] + counts[:, 0, 2] > 0
        values[masked] = iou(counts[masked, 0])
    pairs = zip(test.scores, values, strict=True)
    return [{"score": float(score), "iou": None if np.isnan(value) else float(value)} for score, value in pairs]


def _curve(test: ImageSet, pixels: Pixels, points: int) -> dict[str, list[float]] | None:
    if pixels.view is None:
        return None
    thresholds = [float(value) for value in np.linspace(test.low, test.high, points)]
    codes = [code_at(value, test.low, test.high) for value in thresholds]
    return {"thresholds": thresholds, "iou": [float(pixels.view.curves.iou[code]) for code in codes]}
