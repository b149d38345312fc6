"""The pixel engine against scikit-learn, brute force and hand-made cases."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import average_precision_score, confusion_matrix, jaccard_score, roc_auc_score

from harness.errors import DataError
from harness.metrics.histogram import CODES, PixelCurves, PixelHistogram, code_at, marked_from, threshold_at


def histogram_of(codes, mask):
    histogram = PixelHistogram()
    histogram.add(codes, mask)
    return histogram


@pytest.fixture(scope="module", params=["spread", "ties", "extremes"])
def pixels(request):
    generator = np.random.default_rng(3)
    mask = (generator.random((7, 90, 70)) < 0.07).astype(np.uint8)
    if request.param == "spread":
        codes = np.clip(generator.normal(30000 + 6000.0 * mask, 9000), 0, 65535).astype(np.uint16)
    elif request.param == "ties":
        codes = generator.integers(0, 4, mask.shape).astype(np.uint16) * 21845
    else:
        codes = np.where(generator.random(mask.shape) < 0.5, 0, 65535).astype(np.uint16)
    return codes, mask


def test_auroc_and_average_precision_equal_scikit_learn(pixels):
    codes, mask = pixels
    curves = histogram_of(codes, mask).curves()
    assert curves.auroc() == pytest.approx(roc_auc_score(mask.ravel(), codes.ravel()), abs=1e-9)
    assert curves.average_precision() == pytest.approx(average_precision_score(mask.ravel(), codes.ravel()), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_auroc_and_average_precision_equal_scikit_learn_on_any_maps(data):
    shape = data.draw(arrays.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=12))
    top = data.draw(st.sampled_from([1, 5, 65535]))
    codes = data.draw(arrays.arrays(np.uint16, shape, elements=st.integers(65535 - top, 65535)))
    mask = data.draw(arrays.arrays(np.uint8, shape, elements=st.integers(0, 1)))
    curves = histogram_of(codes, mask).curves()
    if mask.any() and not mask.all():
        assert curves.auroc() == pytest.approx(roc_auc_score(mask.ravel(), codes.ravel()), abs=1e-9)
    else:
        assert curves.auroc() is None
    expected = average_precision_score(mask.ravel(), codes.ravel()) if mask.any() else None
    assert curves.average_precision() == (None if expected is None else pytest.approx(expected, abs=1e-9))


@pytest.mark.parametrize("code", [0, 1, 21845, 30000, 43690, 65535])
def test_rates_and_iou_at_a_threshold_equal_scikit_learn(pixels, code):
    codes, mask = pixels
    curves = histogram_of(codes, mask).curves()
    predicted = (codes >= code).ravel()
    (tn, fp), (fn, tp) = confusion_matrix(mask.ravel(), predicted)
    assert (curves.true_positives[code], curves.false_positives[code]) == (tp, fp)
    assert curves.iou[code] == pytest.approx(jaccard_score(mask.ravel(), predicted), abs=1e-12)
    assert curves.tpr[code] == pytest.approx(tp / (tp + fn), abs=1e-12)
    assert curves.fpr[code] == pytest.approx(fp / (fp + tn), abs=1e-12)
    assert curves.precision[code] == pytest.approx(tp / (tp + fp), abs=1e-12)


def test_best_iou_is_the_highest_over_all_codes():
    generator = np.random.default_rng(5)
    mask = (generator.random(400) < 0.2).astype(np.uint8)
    codes = (generator.integers(0, 300, 400) + 200 * mask).astype(np.uint16)
    scan = [np.sum((codes >= c) & (mask == 1)) / np.sum((codes >= c) | (mask == 1)) for c in range(520)]
    assert histogram_of(codes, mask).curves().best_iou() == (int(np.argmax(scan)), pytest.approx(max(scan), abs=1e-15))


def test_the_last_code_marks_nothing():
    curves = histogram_of(np.array([65535, 3], np.uint16), np.array([1, 0], np.uint8)).curves()
    assert curves.true_positives[CODES] == curves.false_positives[CODES] == curves.iou[CODES] == 0
    assert np.isnan(curves.precision[CODES])


def test_a_constant_map_has_auroc_one_half():
    mask = np.zeros((20, 20), np.uint8)
    mask[3:6] = 1
    curves = histogram_of(np.full((20, 20), 417, np.uint16), mask).curves()
    assert curves.auroc() == 0.5
    assert curves.average_precision() == pytest.approx(0.15, abs=1e-15)


@pytest.mark.parametrize("value", [0, 1])
def test_a_single_class_is_undefined_not_nan(value):
    curves = histogram_of(np.arange(9, dtype=np.uint16), np.full(9, value, np.uint8)).curves()
    assert curves.auroc() is None
    assert (curves.best_iou() is None) == (value == 0)
    assert curves.average_precision() == (1.0 if value else None)


def test_counts_beyond_32_bits_and_products_beyond_64_bits_do_not_overflow():
    # 6e12 pixels: their pairs, 9e24, do not fit into 64 bits
    normal, anomalous = np.zeros(CODES, np.int64), np.zeros(CODES, np.int64)
    normal[[10, 20]] = anomalous[[20, 30]] = 3 * 10**12
    curves = PixelCurves.of(normal, anomalous)
    assert curves.anomalous == 6 * 10**12
    assert curves.auroc() == pytest.approx(0.875, abs=1e-12)
    assert curves.iou[20] == pytest.approx(2 / 3, abs=1e-12)


def test_a_bin_counts_beyond_32_bits():
    histogram = PixelHistogram()
    histogram._all._total[7] = 2**32 - 2  # as if that many pixels had been added
    histogram.add(np.full((3, 1), 7, np.uint16), np.zeros((3, 1), np.uint8))
    assert histogram.normal[7] == 2**32 + 1


def test_filling_by_image_by_chunk_or_at_once_gives_the_same_histograms():
    generator = np.random.default_rng(1)
    codes = generator.integers(0, CODES, (9, 256, 300), dtype=np.uint16)  # more than two stages of pixels
    mask = (generator.random(codes.shape) < 0.3).astype(np.uint8)
    whole, single = histogram_of(codes, mask), PixelHistogram()
    for number, (image, image_mask) in enumerate(zip(codes, mask, strict=True)):
        single.add(image, image_mask)
        if number == 5:
            single.normal.sum()  # looking in between changes nothing
    for histogram in (whole, single):
        assert np.array_equal(histogram.anomalous, np.bincount(codes[mask == 1], minlength=CODES))
        assert np.array_equal(histogram.normal, np.bincount(codes[mask == 0], minlength=CODES))


def test_strided_views_and_boolean_masks_are_counted_as_they_look():
    codes = np.arange(60, dtype=np.uint16).reshape(6, 10)[::2, ::3]
    mask = (np.arange(60).reshape(6, 10) % 7 == 0)[::2, ::3]
    assert np.flatnonzero(histogram_of(codes, mask).anomalous).tolist() == sorted(codes[mask].tolist())


@pytest.mark.parametrize(
    ("codes", "mask", "message"),
    [
        (np.zeros((2, 2), np.uint16), np.full((2, 2), 255, np.uint8), "0 and 1, not 255"),
        (np.zeros((2, 2), np.float32), np.zeros((2, 2), np.uint8), "float32"),
        (np.zeros((2, 2), np.uint16), np.zeros((2, 3), np.uint8), r"\(2, 3\)"),
        (np.zeros((2, 2), np.uint16), np.zeros((2, 2), np.int64), "int64"),
    ],
)
def test_wrong_input_is_refused(codes, mask, message):
    with pytest.raises(DataError, match=message):
        PixelHistogram().add(codes, mask)


def test_marked_from_counts_from_above():
    counts = np.zeros(CODES, np.int64)
    counts[[0, 5, 65535]] = 1, 2, 3
    assert marked_from(counts)[[0, 1, 5, 6, 65535, 65536]].tolist() == [6, 5, 5, 3, 3, 0]


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e6, 1e6), st.one_of(st.just(0.0), st.floats(1e-6, 1e6)), st.floats(-0.1, 1.1))
def test_a_code_marks_the_pixels_whose_value_is_at_least_the_threshold(low, span, share):
    high = low + span
    threshold = low + share * span
    values = np.minimum(low + np.arange(CODES) / 65535 * (high - low), high)
    values[-1] = high
    assert code_at(threshold, low, high) == np.count_nonzero(values < threshold)


@settings(max_examples=100, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6), st.integers(0, CODES))
def test_a_threshold_at_a_code_leads_back_to_that_code(low, span, code):
    high = low + span
    threshold = threshold_at(code, low, high)
    assert code_at(threshold, low, high) == code
    assert code_at(np.nextafter(threshold, np.inf), low, high) == min(code + 1, CODES)


def test_a_threshold_above_the_range_marks_nothing_and_one_at_or_below_it_everything():
    assert [code_at(t, 0.0, 1.0) for t in (-1, 0, 0.5, 1, 1.0001)] == [0, 0, 32768, 65535, 65536]
    assert [code_at(t, 2.0, 2.0) for t in (1, 2, 2.1)] == [0, 0, 65536]
    assert threshold_at(65536, 0.0, 1.0) > 1
    assert code_at(threshold_at(65536, 2.0, 2.0), 2.0, 2.0) == 65536


@pytest.mark.parametrize(("threshold", "low", "high"), [(np.nan, 0, 1), (0.5, 1, 0), (0.5, 0, np.inf)])
def test_thresholds_without_a_range_are_refused(threshold, low, high):
    with pytest.raises(DataError, match="finite"):
        code_at(threshold, low, high)
