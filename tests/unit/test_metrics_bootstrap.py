"""The bootstrap against images that are really repeated."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import jaccard_score, roc_auc_score

from harness.metrics import bootstrap
from harness.metrics.iou import confusion, iou, mean_iou

COUNT = 21
REPLICATES = 37


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    masks = np.zeros((COUNT, 12, 10), np.uint8)
    masks[::2, 3:7, 2:6] = 1
    codes = np.clip(generator.normal(20000 + 9000.0 * masks, 12000), 0, 65535).astype(np.uint16)
    anomalous = masks.any(axis=(1, 2))
    return codes, masks, anomalous, bootstrap.resample(anomalous, REPLICATES, seed=5)


def test_normal_and_anomalous_images_are_resampled_separately(images):
    _, _, anomalous, weights = images
    assert weights.shape == (REPLICATES, COUNT)
    assert (weights[:, anomalous].sum(axis=1) == anomalous.sum()).all()
    assert (weights[:, ~anomalous].sum(axis=1) == (~anomalous).sum()).all()
    assert len(np.unique(weights, axis=0)) > REPLICATES // 2
    assert weights.mean(axis=0) == pytest.approx(np.ones(COUNT), abs=0.8)


def test_resampling_depends_on_the_seed_alone(images):
    _, _, anomalous, weights = images
    assert np.array_equal(weights, bootstrap.resample(anomalous, REPLICATES, seed=5))
    assert not np.array_equal(weights, bootstrap.resample(anomalous, REPLICATES, seed=6))
    assert bootstrap.resample(np.ones(3, bool), 4, 0).sum(axis=1).tolist() == [3, 3, 3, 3]


def test_pixel_auroc_of_a_replicate_is_that_of_the_repeated_images(images):
    codes, masks, _, weights = images
    found = bootstrap.pixel_auroc(weights, lambda: zip(codes, masks, strict=True))
    expected = [roc_auc_score(masks.repeat(w, axis=0).ravel(), codes.repeat(w, axis=0).ravel()) for w in weights]
    assert found == pytest.approx(expected, abs=1e-9)


def test_pooled_iou_of_a_replicate_is_that_of_the_repeated_images(images):
    codes, masks, _, weights = images
    counts = np.stack([confusion(image, mask, [26000])[0] for image, mask in zip(codes, masks, strict=True)])
    expected = [
        jaccard_score(masks.repeat(w, axis=0).ravel(), codes.repeat(w, axis=0).ravel() >= 26000) for w in weights
    ]
    assert bootstrap.pooled_iou(weights, counts) == pytest.approx(expected, abs=1e-12)


def test_image_auroc_of_a_replicate_is_that_of_the_repeated_images(images):
    _, _, anomalous, weights = images
    scores = np.round(np.random.default_rng(2).normal(anomalous, 1.0), 1)
    expected = [roc_auc_score(anomalous.repeat(w), scores.repeat(w)) for w in weights]
    assert bootstrap.image_auroc(weights, scores, anomalous) == pytest.approx(expected, abs=1e-12)


def test_intervals_are_percentiles_of_the_defined_replicates():
    values = np.random.default_rng(0).random(400)
    assert bootstrap.interval(values) == pytest.approx(np.percentile(values, [2.5, 97.5]))
    assert bootstrap.interval(values, 0.5) == pytest.approx(np.percentile(values, [25, 75]))
    assert bootstrap.interval([np.nan, 1.0, 1.0]) == (1.0, 1.0)
    assert bootstrap.interval([np.nan]) is None
    assert bootstrap.interval([]) is None


def test_a_single_class_has_no_interval():
    weights = bootstrap.resample(np.zeros(3, bool), 5, 0)
    codes, masks = np.zeros((3, 4, 4), np.uint16), np.zeros((3, 4, 4), np.uint8)
    assert np.isnan(bootstrap.pixel_auroc(weights, lambda: zip(codes, masks, strict=True))).all()
    assert np.isnan(bootstrap.image_auroc(weights, np.arange(3.0), np.zeros(3, bool))).all()


@pytest.mark.parametrize("window", [1, 40, 1 << 20])
def test_pixel_auroc_does_not_depend_on_how_many_pixels_are_held(images, window, monkeypatch):
    codes, masks, _, weights = images
    whole = bootstrap.pixel_auroc(weights, lambda: zip(codes, masks, strict=True))
    monkeypatch.setattr(bootstrap, "_WINDOW", window)
    assert np.array_equal(bootstrap.pixel_auroc(weights, lambda: zip(codes, masks, strict=True)), whole)


def test_memory_does_not_grow_with_the_images():
    def peak(count):
        codes, mask = np.zeros((256, 1024), np.uint16), np.ones((256, 1024), np.uint8)
        weights = bootstrap.resample(np.ones(count, bool), 8, 0)
        tracemalloc.start()
        bootstrap.pixel_auroc(weights, lambda: ((codes, mask) for _ in range(count)))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    assert peak(21) < 1.05 * peak(9) < 40e6


def test_the_spread_over_seeds_is_mean_and_sample_deviation():
    assert bootstrap.spread([0.1, 0.2, 0.6]) == pytest.approx((0.3, np.std([0.1, 0.2, 0.6], ddof=1)))
    assert bootstrap.spread([0.25]) == (0.25, None)
    with pytest.raises(ValueError, match="no values"):
        bootstrap.spread([])


def test_confusion_counts_and_iou_of_one_image():
    codes = np.array([[1, 5], [9, 9]], np.uint16)
    mask = np.array([[0, 1], [1, 0]], np.uint8)
    counts = confusion(codes, mask, [0, 5, 9, 65536])
    assert counts.tolist() == [[2, 2, 0], [2, 1, 0], [1, 1, 1], [0, 0, 2]]
    assert iou(counts) == pytest.approx([1 / 2, 2 / 3, 1 / 3, 0])
    assert np.isnan(iou(np.zeros((1, 3), int))).all()


def test_the_mean_over_images_leaves_out_images_with_an_empty_mask():
    assert mean_iou(np.array([[1, 1, 0], [0, 7, 0], [0, 0, 4]])) == pytest.approx(0.25)
    assert mean_iou(np.array([[0, 7, 0]])) is None
