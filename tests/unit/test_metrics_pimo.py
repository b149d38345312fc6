"""AUPIMO by code weights against the integral over all thresholds, image by image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.histogram import CODES
from harness.metrics.pimo import code_weights, image_overlap


def slow(normal, inside, lower, upper):
    """Integrate the image's recall over log FPR on a fine grid, thresholds joined by straight lines in log FPR."""
    codes = np.arange(normal.max() + 2)
    rate = np.array([(normal >= code).mean() for code in codes])
    recall = np.array([(inside >= code).mean() for code in codes])
    reached = rate > 0
    x, y = np.log(rate[reached])[::-1], recall[reached][::-1]
    # several codes with one rate: the lowest marks most
    last = np.append(np.diff(x) > 0, True)
    first = np.insert(np.diff(x) > 0, 0, True)
    grid = np.linspace(np.log(lower), np.log(upper), 200_001)
    at = np.searchsorted(x[last], grid)
    below, above = np.maximum(at - 1, 0), np.minimum(at, last.sum() - 1)
    x0, x1 = x[last][below], x[last][above]
    # a step in rate goes from the highest recall at the lower rate to the lowest recall at the upper one
    y0, y1 = y[last][below], y[first][above]
    share = np.divide(grid - x0, x1 - x0, out=np.zeros_like(grid), where=x1 > x0)
    values = np.where(grid < x[0], (inside >= normal.max() + 1).mean(), y0 + share * (y1 - y0))
    return np.trapezoid(values, grid) / np.log(upper / lower)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 300), st.sampled_from([(0.01, 0.1), (0.02, 0.5), (0.05, 0.9)]))
def test_weights_integrate_the_recall_over_the_logarithm_of_the_rate(seed, levels, bounds):
    generator = np.random.default_rng(seed)
    normal = np.minimum(generator.geometric(4 / levels, 400), levels)
    inside = generator.integers(0, levels + 3, 30)
    weights = code_weights(np.bincount(normal, minlength=CODES), *bounds)
    image = inside.reshape(5, 6).astype(np.uint16)
    found = image_overlap(image, np.ones((5, 6), np.uint8), weights)
    assert found == pytest.approx(slow(normal, inside, *bounds), abs=2e-4)


def test_a_perfect_map_has_one_a_blind_one_almost_nothing():
    normal = np.arange(200_000) % 60_000
    weights = code_weights(np.bincount(normal, minlength=CODES))
    mask = np.zeros((20, 20), np.uint8)
    mask[:10] = 1
    assert image_overlap(np.full((20, 20), 65_000, np.uint16), mask, weights) == pytest.approx(1)
    assert image_overlap(np.full((20, 20), 100, np.uint16), mask, weights) == 0
    assert np.isnan(image_overlap(np.full((20, 20), 65_000, np.uint16), mask * 0, weights))


def test_pixels_tied_with_the_highest_of_normal_images_are_not_found():
    """Where the normal images' highest value alone passes 1e-4, nothing can be marked at the rates that count."""
    normal = np.where(np.arange(200_000) < 1_000, 500, 3)
    weights = code_weights(np.bincount(normal, minlength=CODES))
    assert image_overlap(np.full((2, 2), 500, np.uint16), np.ones((2, 2), np.uint8), weights) == 0
    assert image_overlap(np.full((2, 2), 501, np.uint16), np.ones((2, 2), np.uint8), weights) == pytest.approx(1)


def test_too_few_normal_pixels_tell_no_rate():
    assert code_weights(np.bincount(np.zeros(99_999, int), minlength=CODES)) is None
    assert code_weights(np.bincount(np.zeros(100_000, int), minlength=CODES)) is not None
