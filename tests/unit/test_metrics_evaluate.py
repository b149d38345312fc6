"""The whole evaluation of a category against measures computed the slow way from all maps at once."""

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest
from skimage.measure import label, regionprops
from sklearn.metrics import average_precision_score, balanced_accuracy_score, jaccard_score, roc_auc_score

from harness.errors import ConfigError, DataError
from harness.metrics.evaluate import evaluate
from harness.metrics.measures import MEASURES
from harness.metrics.results import MeasureSettings
from harness.metrics.yardsticks import yardsticks
from harness.paths import ROOT

LOW, HIGH = -1.0, 3.0
SETTINGS = MeasureSettings(
    map_policies=("fixed:0.5", "normal_validation", "best_on_test", "own", "fixed:99"),
    image_policies=("fixed:0.5", "normalised:0.5", "best_on_test", "max_normal_validation", "region"),
    minimum_area=0.01,
    own_threshold=1.0,
    curve_points=11,
)


def planted(seed=0):
    """Seven 40×30 maps, four of them with one to three bright defects, and five validation maps."""
    generator = np.random.default_rng(seed)
    masks = np.zeros((7, 40, 30), np.uint8)
    for number, defects in enumerate((1, 2, 3, 1), start=2):
        for row in range(defects):
            masks[number, 12 * row + 2 : 12 * row + 7, 5 : 9 + 4 * row] = 1
    maps = np.clip(generator.normal(24000 + 9000.0 * masks, 6000), 0, 65535).astype(np.uint16)
    validation = np.clip(generator.normal(24000, 6000, (5, 40, 30)), 0, 65535).astype(np.uint16)
    anomalous = masks.any(axis=(1, 2))
    scores = np.round(generator.normal(anomalous * 1.0, 0.7), 1)
    return {
        "maps": lambda: iter(maps),
        "low": LOW,
        "high": HIGH,
        "masks": masks,
        "anomalous": anomalous,
        "scores": scores,
        "validation_maps": lambda: iter(validation),
        "validation_scores": np.array([0.1, -0.2, 0.3]),
    }, maps


def found(evaluation, name, policy=None):
    (measure,) = [m for m in evaluation.measures if (m.name, m.policy) == (name, policy)]
    return measure


@pytest.fixture(scope="module")
def example():
    given, maps = planted()
    values = LOW + maps / 65535 * (HIGH - LOW)
    return given, values, evaluate(**given, settings=SETTINGS)


def test_threshold_free_measures_equal_scikit_learn(example):
    given, values, evaluation = example
    mask = given["masks"].ravel()
    assert found(evaluation, "pixel_auroc").value == pytest.approx(roc_auc_score(mask, values.ravel()), abs=1e-9)
    expected = average_precision_score(mask, values.ravel())
    assert found(evaluation, "average_precision").value == pytest.approx(expected, abs=1e-9)
    expected = roc_auc_score(given["anomalous"], given["scores"])
    assert found(evaluation, "image_auroc").value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("policy", SETTINGS.map_policies)
def test_masks_at_every_policy_equal_the_slow_way(example, policy):
    given, values, evaluation = example
    threshold = found(evaluation, "iou", policy).threshold
    predicted, masks = values >= threshold, given["masks"] == 1
    pooled = jaccard_score(masks.ravel(), predicted.ravel())
    single = [jaccard_score(m.ravel(), p.ravel()) for m, p in zip(masks, predicted, strict=True) if m.any()]
    overlaps = [
        p[tuple(region.coords.T)].mean()
        for m, p in zip(masks, predicted, strict=True)
        for region in regionprops(label(m, connectivity=2))
    ]
    assert len(overlaps) == 7
    assert found(evaluation, "iou", policy).value == pytest.approx(pooled, abs=1e-12)
    assert found(evaluation, "iou_per_image", policy).value == pytest.approx(np.mean(single), abs=1e-12)
    assert found(evaluation, "pro", policy).value == pytest.approx(np.mean(overlaps), abs=1e-12)
    defective = masks.any(axis=(1, 2))
    pooled = jaccard_score(masks[defective].ravel(), predicted[defective].ravel())
    assert found(evaluation, "iou_anomalous", policy).value == pytest.approx(pooled, abs=1e-12)
    assert found(evaluation, "share_marked", policy).value == pytest.approx(predicted.mean(), abs=1e-12)


def test_an_image_that_is_predicted_normal_has_an_empty_map_where_that_is_asked_for(example):
    given, values, _ = example
    for policy, called in (("fixed:0.5", given["scores"] >= 0.5), ("normalised:0.5", None)):
        scale = given["scores"].min() + 0.5 * np.ptp(given["scores"])
        called = given["scores"] >= scale if called is None else called
        assert called.any()
        assert not called.all()
        settings = dataclasses.replace(SETTINGS, image_policies=(policy,), empty_when_normal=True)
        evaluation = evaluate(**given, settings=settings)
        marked = (values >= found(evaluation, "iou", "fixed:0.5").threshold) & called[:, None, None]
        assert found(evaluation, "share_marked", "fixed:0.5").value == pytest.approx(marked.mean(), abs=1e-12)
    settings = dataclasses.replace(SETTINGS, image_policies=("region",), empty_when_normal=True)
    with pytest.raises(ConfigError, match="empty_when_normal"):
        evaluate(**given, settings=settings)


def test_false_positives_of_normal_images_count_in_the_pooled_iou_only(example):
    _, _, evaluation = example
    pooled, defective = (found(evaluation, name, "fixed:0.5").value for name in ("iou", "iou_anomalous"))
    assert pooled < defective


def test_policies_say_their_threshold_and_what_a_reader_must_know(example):
    _, _, evaluation = example
    assert found(evaluation, "iou", "fixed:0.5").threshold == 0.5
    assert found(evaluation, "iou", "own").threshold == 1.0
    assert found(evaluation, "iou", "fixed:99").value == 0
    assert found(evaluation, "iou", "fixed:0.5").note is None
    assert "oracle" in found(evaluation, "pro", "best_on_test").note
    assert "minimum area 1 %" in found(evaluation, "pro", "normal_validation").note
    best = found(evaluation, "iou", "best_on_test").value
    assert all(best >= found(evaluation, "iou", policy).value for policy in SETTINGS.map_policies)


def test_image_policies_equal_the_slow_way(example):
    given, values, evaluation = example
    scores, truth = given["scores"], given["anomalous"]
    normalised = (scores - scores.min()) / (scores.max() - scores.min())
    regions = [
        max((r.area for r in regionprops(label(image >= 0.5, connectivity=2))), default=0) >= 12 for image in values
    ]
    decisions = {"fixed:0.5": scores >= 0.5, "normalised:0.5": normalised >= 0.5}
    decisions |= {"max_normal_validation": scores > 0.3, "region": np.array(regions)}
    for policy, predicted in decisions.items():
        expected = balanced_accuracy_score(truth, predicted)
        assert found(evaluation, "class_accuracy", policy).value == pytest.approx(expected, abs=1e-12)
        assert found(evaluation, "accuracy", policy).value == pytest.approx(np.mean(truth == predicted), abs=1e-12)
    best = max(balanced_accuracy_score(truth, scores >= t) for t in [*scores, 99])
    assert found(evaluation, "class_accuracy", "best_on_test").value == pytest.approx(best, abs=1e-12)
    assert "fixed:0.5" in found(evaluation, "accuracy", "region").note
    assert "oracle" in found(evaluation, "accuracy", "best_on_test").note


def test_region_decisions_follow_the_first_map_policy(example):
    given, values, _ = example
    settings = dataclasses.replace(SETTINGS, map_policies=("own",), image_policies=("region",))
    regions = np.array(
        [max((r.area for r in regionprops(label(v >= 1.0, connectivity=2))), default=0) >= 12 for v in values]
    )
    assert 0 < regions.sum() < regions.size
    evaluation = evaluate(**given, settings=settings)
    assert found(evaluation, "accuracy", "region").value == np.mean(regions == given["anomalous"])


def test_curve_and_image_rows(example):
    given, values, evaluation = example
    masks = given["masks"]
    assert evaluation.curve["thresholds"] == pytest.approx(np.linspace(LOW, HIGH, 11))
    expected = [jaccard_score(masks.ravel(), (values >= t).ravel()) for t in evaluation.curve["thresholds"]]
    assert evaluation.curve["iou"] == pytest.approx(expected, abs=1e-12)
    assert [row["score"] for row in evaluation.images] == given["scores"].tolist()
    for row, mask, image in zip(evaluation.images, masks, values, strict=True):
        expected = jaccard_score(mask.ravel(), (image >= 0.5).ravel()) if mask.any() else None
        assert row["iou"] == (None if expected is None else pytest.approx(expected, abs=1e-12))


def test_an_evaluation_is_json_without_nan(example):
    _, _, evaluation = example
    text = json.dumps(
        [m.as_dict() for m in evaluation.measures] + [evaluation.curve, evaluation.images], allow_nan=False
    )
    assert "NaN" not in text


def undefined(given, settings=SETTINGS):
    evaluation = evaluate(**given, settings=settings)
    json.dumps([m.as_dict() for m in evaluation.measures], allow_nan=False)
    return {(m.name, m.policy): m.note for m in evaluation.measures if m.value is None}, evaluation


def test_without_anomalous_images_measures_are_undefined_with_the_reason():
    given, _ = planted()
    given |= {"masks": np.zeros_like(given["masks"]), "anomalous": np.zeros(7, bool)}
    missing, evaluation = undefined(given)
    for name in ("pixel_auroc", "average_precision", "aupro_0.3", "aupro_0.05", "aupimo"):
        assert missing[name, None] == "no anomalous pixel"
    for policy in SETTINGS.map_policies:
        assert "no anomalous pixel" in missing["iou", policy]
        assert "no anomalous pixel" in missing["pro", policy]
    assert missing["image_auroc", None] == missing["class_accuracy", "fixed:0.5"] == "only one class of images"
    assert ("accuracy", "fixed:0.5") not in missing
    assert evaluation.curve is None
    assert all(row["iou"] is None for row in evaluation.images)


def test_without_normal_pixels_only_areas_over_the_false_positive_rate_are_undefined():
    given, _ = planted()
    given |= {"masks": np.ones_like(given["masks"]), "anomalous": np.ones(7, bool)}
    missing, _ = undefined(given)
    assert missing["pixel_auroc", None] == missing["aupro_0.3", None] == "no normal pixel"
    assert ("iou", "fixed:0.5") not in missing


def test_without_maps_only_scores_are_measured():
    given, _ = planted()
    given |= {"maps": None, "validation_maps": None}
    missing, evaluation = undefined(given)
    assert missing["pixel_auroc", None] == missing["iou", "fixed:0.5"] == "the method gives no anomaly maps"
    assert missing["accuracy", "region"] == "no map threshold to find regions with"
    assert found(evaluation, "image_auroc").value is not None
    assert evaluation.curve is None


def test_without_masks_regions_still_decide_about_images(example):
    given, _, evaluation = example
    missing, unmasked = undefined(given | {"masks": None}, dataclasses.replace(SETTINGS, map_policies=("fixed:0.5",)))
    assert missing["pro", "fixed:0.5"] == "the dataset has no masks"
    assert found(unmasked, "accuracy", "region") == found(evaluation, "accuracy", "region")


def test_without_validation_images_their_policies_are_undefined():
    given, _ = planted()
    given |= {"validation_maps": None, "validation_scores": None}
    missing, _ = undefined(given, dataclasses.replace(SETTINGS, own_threshold=None))
    assert missing["pro", "normal_validation"] == "no anomaly-free validation maps"
    assert missing["accuracy", "max_normal_validation"] == "no anomaly-free validation images"
    assert missing["iou", "own"] == "the method defines no threshold of its own"
    assert ("iou", "fixed:0.5") not in missing


def test_intervals_hold_the_value_and_repeat_with_the_seed(example):
    given, _, plain = example
    settings = dataclasses.replace(SETTINGS, bootstrap=40, seed=1)
    first, again = evaluate(**given, settings=settings), evaluate(**given, settings=settings)
    other = evaluate(**given, settings=dataclasses.replace(settings, seed=2))
    assert first == again
    for key in (("pixel_auroc", None), ("iou", "fixed:0.5"), ("image_auroc", None)):
        measure = found(first, *key)
        assert measure.interval[0] <= measure.value <= measure.interval[1]
        assert measure.interval[0] < measure.interval[1]
        assert measure.interval != found(other, *key).interval
        assert found(plain, *key).interval is None
        assert measure.value == found(plain, *key).value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": lambda: iter(np.zeros((6, 40, 30), np.uint16))}, "6 maps for 7 images"),
        ({"maps": lambda: iter(np.zeros((8, 40, 30), np.uint16))}, "more than 7 maps"),
        ({"maps": lambda: iter(np.zeros((7, 40, 31), np.uint16))}, "map 0 is"),
        ({"masks": np.zeros((6, 40, 30), np.uint8)}, "not one for each image"),
        ({"scores": np.zeros(6)}, "not one for each image"),
        ({"scores": np.array([1, 2, np.nan, 4, 5, np.inf, 7])}, "2 of 7 image scores are not finite"),
        ({"validation_scores": np.array([1, np.nan])}, "1 of 2 validation scores are not finite"),
        ({"high": np.inf}, "1 of 2 ends of the maps' range"),
        ({"scores": np.zeros(0), "anomalous": np.zeros(0, bool), "masks": None}, "no test images"),
    ],
)
def test_input_that_does_not_fit_together_is_refused(change, message):
    given, _ = planted()
    with pytest.raises(DataError, match=message):
        evaluate(**(given | change), settings=SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"map_policies": ("median",)}, "'median' is unknown; use one of fixed"),
        ({"map_policies": ("fixed:high",)}, "such as"),
        ({"image_policies": ("median",)}, "'median' is unknown"),
    ],
)
def test_unknown_policies_are_refused(change, message):
    given, _ = planted()
    with pytest.raises(ConfigError, match=message):
        evaluate(**given, settings=dataclasses.replace(SETTINGS, **change))


@pytest.mark.parametrize("value", [0, -1, 1.5])
def test_shares_are_shares(value):
    with pytest.raises(ConfigError, match="minimum_area"):
        MeasureSettings(minimum_area=value)


def test_memory_does_not_grow_with_the_images():
    codes, mask = np.arange(16384, dtype=np.uint16).reshape(128, 128), np.eye(128, dtype=np.uint8)

    def peak(count):
        given = {"low": 0.0, "high": 1.0, "masks": [mask] * count, "anomalous": np.arange(count) % 2 == 0}
        given |= {"scores": np.arange(float(count)), "validation_maps": None, "validation_scores": None}
        tracemalloc.start()
        evaluate(lambda: (codes.copy() for _ in range(count)), settings=MeasureSettings(bootstrap=5), **given)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(60) < 1.05 * peak(10) < 30e6


def test_every_declared_measure_of_maps_and_scores_is_measured_once_a_policy(example):
    _, _, evaluation = example
    keys = [(m.name, m.policy) for m in evaluation.measures]
    assert len(keys) == len(set(keys))
    policies = {"threshold": SETTINGS.map_policies, "image_threshold": SETTINGS.image_policies, None: (None,)}
    declared = [measure for measure in MEASURES.values() if measure.cost is None]
    assert set(keys) == {(measure.id, policy) for measure in declared for policy in policies[measure.threshold]}


def test_aupimo_is_that_of_the_normal_images(example):
    """Two normal images of 1,200 pixels cannot tell a rate of 1e-5; thirty of 10,000 pixels can."""
    _, _, evaluation = example
    assert "too few normal images" in found(evaluation, "aupimo").note
    generator = np.random.default_rng(3)
    masks = np.zeros((31, 100, 100), np.uint8)
    masks[30, :10, :10] = 1
    maps = generator.integers(0, 60000, masks.shape).astype(np.uint16)
    maps[30, :10, :5] = 65000
    given = {"low": 0.0, "high": 1.0, "masks": masks, "anomalous": masks.any(axis=(1, 2)), "scores": np.arange(31.0)}
    given |= {"validation_maps": None, "validation_scores": None}
    evaluation = evaluate(maps=lambda: iter(maps), settings=SETTINGS, **given)
    assert found(evaluation, "aupimo").value == pytest.approx(0.5, abs=1e-9)


def test_every_measure_and_yardstick_is_documented():
    text = (ROOT / "docs" / "measures.md").read_text()
    train = np.zeros((2, 40, 40, 1), np.uint8)
    made = yardsticks(train, train, np.zeros((2, 40, 40), np.uint8))
    assert [name for name in [*MEASURES, *(y.id for y in made)] if f"`{name}`" not in text] == []
