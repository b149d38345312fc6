"""Threshold policies: the bisection against a linear scan."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops

from harness.errors import ConfigError
from harness.metrics.histogram import PixelHistogram, code_at
from harness.metrics.thresholds import MapThresholds, fixed_value, normal_code


def largest(maps, code):
    """Return the area of the largest region at or above a code in any of the maps, by scikit-image."""
    return max(
        (region.area for image in maps for region in regionprops(label(image >= code, connectivity=2))), default=0
    )


def smooth_maps(count, top, seed=0):
    noise = np.random.default_rng(seed).random((count, 40, 32))
    smooth = np.stack([gaussian_filter(image, 1.5) for image in noise])
    return np.rint((smooth - smooth.min()) / np.ptp(smooth) * top).astype(np.uint16)


@pytest.mark.parametrize("share", [0.0005, 0.005, 0.05, 0.6, 1])
def test_bisection_finds_what_a_linear_scan_finds(share):
    maps = smooth_maps(4, 250)
    scanned = next(code for code in range(252) if largest(maps, code) < share * 40 * 32)
    assert normal_code(maps, share) == scanned
    assert normal_code(maps[::-1], share) == scanned


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.uint16, st.tuples(st.integers(1, 3), st.just(9), st.just(7)), elements=st.integers(0, 12)),
    st.floats(0.01, 1),
)
def test_bisection_finds_what_a_linear_scan_finds_on_any_maps(maps, share):
    assert normal_code(maps, share) == next(code for code in range(14) if largest(maps, code) < share * 63)


def test_sixteen_bit_maps_pass_at_the_code_and_fail_one_below():
    maps = smooth_maps(3, 65535, seed=4)
    code = normal_code(iter(maps), 0.02)
    assert largest(maps, code) < 0.02 * 1280 <= largest(maps, code - 1)


def test_saturated_validation_maps_leave_nothing_marked():
    threshold = MapThresholds(0, 1, 0.001, None).resolve(
        "normal_validation", None, [np.full((20, 20), 65535, np.uint16)]
    )
    assert (threshold.code, threshold.value > 1) == (65536, True)
    assert "nothing is marked" in threshold.note


def test_no_validation_maps_is_a_reason_and_no_threshold():
    assert normal_code([], 0.1) is None
    for none in (None, []):
        threshold = MapThresholds(0, 1, 0.001, None).resolve("normal_validation", None, none)
        assert (threshold.code, threshold.value) == (None, None)
        assert "validation" in threshold.note


def test_fixed_and_own_are_values_of_the_map():
    thresholds = MapThresholds(-2.0, 2.0, 0.001, own=0.25)
    fixed, own = thresholds.resolve("fixed:-0.5", None, None), thresholds.resolve("own", None, None)
    assert (fixed.value, fixed.code) == (-0.5, code_at(-0.5, -2, 2))
    assert (own.value, own.code) == (0.25, code_at(0.25, -2, 2))


@pytest.mark.parametrize(("policy", "value"), [("fixed:0.5", 0.5), ("fixed:-1e3", -1000), ("own", None), ("0.5", None)])
def test_fixed_policies_name_their_value(policy, value):
    assert fixed_value(policy) == value


@pytest.mark.parametrize("policy", ["fixed", "fixed:", "fixed:nan", "fixed:inf", "fixed:0,5"])
def test_a_fixed_policy_without_a_number_is_refused(policy):
    with pytest.raises(ConfigError, match="such as"):
        fixed_value(policy)


def test_best_on_test_is_at_least_as_good_as_every_code():
    generator = np.random.default_rng(0)
    mask = (generator.random((1, 50, 50)) < 0.1).astype(np.uint8)
    codes = np.clip(generator.normal(20000 + 9000.0 * mask, 5000), 0, 65535).astype(np.uint16)
    histogram = PixelHistogram()
    histogram.add(codes, mask)
    found = MapThresholds(0, 1, 0.001, None).resolve("best_on_test", histogram.curves(), None)

    def overlap(predicted):
        return np.sum(predicted & (mask == 1)) / np.sum(predicted | (mask == 1))

    best = max(overlap(codes >= code) for code in np.unique(codes))
    assert overlap(codes / 65535 >= found.value) == pytest.approx(best, abs=1e-15)
