"""Grades one category's maps and scores: every measure under every policy, in two streaming passes over the maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError
from harness.metrics import bootstrap, image
from harness.metrics.histogram import Counts, Curve, PixelCurves, PixelHistogram, code_at
from harness.metrics.image_set import ImageSet, Maps, Masks
from harness.metrics.iou import confusion, iou, mean_iou
from harness.metrics.measure import Evaluation, Interval, Measure, Settings
from harness.metrics.regions import RegionHistogram, aupro, holds_region, minimum_pixels
from harness.metrics.thresholds import MapThresholds, Threshold

Flags = NDArray[np.bool_]
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
    settings: Settings,
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
    weights = bootstrap.resample(anomalous, settings.bootstrap, settings.seed)
    test = ImageSet(maps, low, high, masks, anomalous, scores, weights)
    pixels = _Pixels.measure(test)
    thresholds = _thresholds(test, pixels, validation_maps, settings)
    counts, regions = _second_pass(test, thresholds, settings)
    measures = [
        *_pixel_measures(test, pixels, settings),
        *_map_measures(test, pixels, thresholds, counts),
        *_image_measures(test, validation_scores, regions, thresholds, settings),
    ]
    rows = _image_rows(test, thresholds, counts)
    return Evaluation(tuple(measures), _curve(test, pixels, settings.curve_points), rows)


def _check_finite(low: float, high: float, scores: Scores, validation_scores: Scores | None) -> None:
    groups = {"image scores": scores, "ends of the maps' range": np.array([low, high])}
    if validation_scores is not None:
        groups["validation scores"] = np.asarray(validation_scores, float)
    for name, values in groups.items():
        wrong = np.count_nonzero(~np.isfinite(values))
        if wrong:
            raise DataError(f"{wrong} of {values.size} {name} are not finite; train again")


@dataclass(frozen=True)
class _Pixels:
    """First pass: what the histograms of all test pixels give; `note` says why pixel measures are undefined."""

    curves: PixelCurves | None
    overlap: Curve | None
    note: str | None

    @classmethod
    def measure(cls, test: ImageSet) -> _Pixels:
        missing = test.missing()
        if missing:
            return cls(None, None, missing)
        histogram, regions = PixelHistogram(), RegionHistogram()
        for codes, mask in test.pixels():
            histogram.add(codes, mask)
            regions.add(codes, mask)
        curves = histogram.curves()
        note = None if curves.anomalous else "no anomalous pixel"
        return cls(curves, regions.overlap(), note)


def _thresholds(test: ImageSet, pixels: _Pixels, validation: Maps | None, settings: Settings) -> list[Threshold]:
    resolver = MapThresholds(test.low, test.high, settings.minimum_area, settings.own_threshold)
    if test.maps is None:
        return [Threshold(policy, None, None, pixels.note) for policy in settings.map_policies]
    maps = validation() if validation is not None and "normal_validation" in settings.map_policies else None
    return [resolver.resolve(policy, pixels.curves, maps) for policy in settings.map_policies]


def _second_pass(test: ImageSet, thresholds: list[Threshold], settings: Settings) -> tuple[Counts, Flags | None]:
    """Return the images' confusion counts (M,T,3) and, if asked for, whether each map holds a large enough region."""
    codes_at = [0 if threshold.code is None else threshold.code for threshold in thresholds]
    counts = np.zeros((test.scores.size, len(thresholds), 3), np.int64)
    wanted = "region" in settings.image_policies and thresholds and thresholds[0].code is not None
    regions = np.zeros(test.scores.size, bool) if wanted else None
    if test.missing() and regions is None:
        return counts, None
    for number, (codes, mask) in enumerate(test.images()):
        if mask is not None:
            counts[number] = confusion(codes, mask, codes_at)
        if regions is not None:
            regions[number] = holds_region(codes >= codes_at[0], minimum_pixels(settings.minimum_area, codes.shape))
    return counts, regions


def _pixel_measures(test: ImageSet, pixels: _Pixels, settings: Settings) -> Iterator[Measure]:
    values: dict[str, float | None] = {}
    bounds: Interval | None = None
    if pixels.curves is not None:
        values["pixel_auroc"] = pixels.curves.auroc()
        values["average_precision"] = pixels.curves.average_precision()
        values["aupro"] = aupro(pixels.overlap, pixels.curves, settings.pro_fpr)
        if len(test.weights) and values["pixel_auroc"] is not None:
            bounds = bootstrap.interval(bootstrap.pixel_auroc(test.weights, test.pixels))
    for name in ("pixel_auroc", "average_precision", "aupro"):
        value = values.get(name)
        note = None if value is not None else pixels.note or "no normal pixel"
        label = f"aupro_{settings.pro_fpr:g}" if name == "aupro" else name
        yield Measure(label, None, None, value, note, bounds if name == "pixel_auroc" else None)


def _map_measures(test: ImageSet, pixels: _Pixels, thresholds: list[Threshold], counts: Counts) -> Iterator[Measure]:
    for number, threshold in enumerate(thresholds):
        values: dict[str, float | None] = dict.fromkeys(("iou", "iou_per_image", "pro"))
        bounds = None
        note = threshold.note if threshold.code is None else pixels.note or threshold.note
        if threshold.code is not None and pixels.curves is not None and pixels.overlap is not None:
            values["iou"] = float(pixels.curves.iou[threshold.code])
            values["iou_per_image"] = mean_iou(counts[:, number])
            values["pro"] = float(pixels.overlap[threshold.code])
            bounds = bootstrap.interval(bootstrap.pooled_iou(test.weights, counts[:, number]))
        for name, value in values.items():
            reason = note if value is not None or note else "no image with anomalous pixels"
            interval = bounds if name == "iou" else None
            yield Measure(name, threshold.policy, threshold.value, value, reason, interval)


def _image_measures(
    test: ImageSet,
    validation_scores: Scores | None,
    regions: Flags | None,
    thresholds: list[Threshold],
    settings: Settings,
) -> Iterator[Measure]:
    value = image.image_auroc(test.scores, test.anomalous)
    single = None if value is not None else "only one class of images"
    bounds = bootstrap.interval(bootstrap.image_auroc(test.weights, test.scores, test.anomalous))
    yield Measure("image_auroc", None, None, value, single, bounds)
    for policy in settings.image_policies:
        for name, rate in image.MEASURES.items():
            choice = image.decide(policy, name, test.scores, test.anomalous, validation_scores, regions)
            value = None if choice.predicted is None else rate(choice.predicted, test.anomalous)
            note = choice.note
            if choice.predicted is not None and value is None:
                note = "only one class of images"
            elif policy == "region" and regions is not None:
                share = f"{100 * settings.minimum_area:g} %"
                note = f"a region of at least {share} of the pixels at the map threshold {thresholds[0].policy}"
            yield Measure(name, policy, choice.threshold, value, note)


def _image_rows(test: ImageSet, thresholds: list[Threshold], counts: Counts) -> list[dict[str, float | None]]:
    values = np.full(test.scores.size, np.nan)
    if not test.missing() and thresholds and thresholds[0].code is not None:
        masked = counts[:, 0, 0] + counts[:, 0, 2] > 0
        values[masked] = iou(counts[masked, 0])
    pairs = zip(test.scores, values, strict=True)
    return [{"score": float(score), "iou": None if np.isnan(value) else float(value)} for score, value in pairs]


def _curve(test: ImageSet, pixels: _Pixels, points: int) -> dict[str, list[float]] | None:
    if pixels.curves is None or pixels.note is not None:
        return None
    thresholds = [float(value) for value in np.linspace(test.low, test.high, points)]
    codes = [code_at(value, test.low, test.high) for value in thresholds]
    return {"thresholds": thresholds, "iou": [float(pixels.curves.iou[code]) for code in codes]}
