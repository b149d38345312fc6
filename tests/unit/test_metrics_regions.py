"""Regions, per-region overlap and its area against scikit-image, scikit-learn and brute force."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.measure import label, regionprops
from sklearn.metrics import roc_auc_score

from harness.metrics.histogram import PixelHistogram
from harness.metrics.regions import RegionHistogram, aupro, component_areas, holds_region, minimum_pixels

masks = arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.integers(0, 1))


@settings(max_examples=40, deadline=None)
@given(masks, st.integers(1, 30))
def test_areas_are_those_of_scikit_image(mask, pixels):
    expected = sorted(int(region.area) for region in regionprops(label(mask, connectivity=2)))
    assert sorted(component_areas(mask)) == expected
    assert holds_region(mask, pixels) == any(area >= pixels for area in expected)


def test_pixels_that_touch_at_a_corner_are_one_region():
    assert component_areas(np.eye(5, dtype=bool)).tolist() == [5]


@pytest.mark.parametrize(
    ("share", "shape", "pixels"),
    [(0.001, (256, 256), 66), (0.001, (128, 128), 17), (0.07, (10, 10), 7), (0.5, (1, 2), 1), (1e-9, (4, 4), 1)],
)
def test_the_minimum_area_is_the_smallest_whole_number_of_pixels_with_that_share(share, shape, pixels):
    assert minimum_pixels(share, shape) == pixels


def example(seed, top=65535, count=5):
    generator = np.random.default_rng(seed)
    mask = np.zeros((count, 24, 20), np.uint8)
    mask[0, 2:5, 3:9] = mask[0, 10:20, 1:3] = mask[2, 0, 0] = mask[3, 5:20, 4:18] = 1
    codes = np.clip(generator.normal(0.4 + 0.25 * mask, 0.15), 0, 1)
    return np.rint(codes * top).astype(np.uint16), mask


def grade(codes, mask):
    histogram, regions = PixelHistogram(), RegionHistogram()
    histogram.add(codes, mask)
    for image, image_mask in zip(codes, mask, strict=True):
        regions.add(image, image_mask)
    return histogram.curves(), regions


def region_weights(mask):
    """Weight each pixel of a region by the inverse of its area, normal pixels by one."""
    weights = np.ones(mask.shape)
    for image, out in zip(mask, weights, strict=True):
        for region in regionprops(label(image, connectivity=2)):
            out[tuple(region.coords.T)] = 1 / region.area
    return weights


def test_overlap_is_the_mean_over_all_regions_of_the_share_that_is_marked():
    codes, mask = example(1)
    _, regions = grade(codes, mask)
    assert regions.regions == 4
    for code in (0, 1, 20000, 33333, 50000, 65535, 65536):
        shares = [
            (image[tuple(region.coords.T)] >= code).mean()
            for image, image_mask in zip(codes, mask, strict=True)
            for region in regionprops(label(image_mask, connectivity=2))
        ]
        assert regions.overlap()[code] == pytest.approx(np.mean(shares), abs=1e-12)


@pytest.mark.parametrize("top", [65535, 9, 1])
@pytest.mark.parametrize("limit", [0.05, 0.3, 0.5])
def test_aupro_equals_scikit_learns_partial_area_of_pixels_weighted_by_their_region(top, limit):
    codes, mask = example(2, top)
    curves, regions = grade(codes, mask)
    weights = region_weights(mask).ravel()
    standardised = roc_auc_score(mask.ravel(), codes.ravel(), sample_weight=weights, max_fpr=limit)
    # scikit-learn returns McClish's standardised area; turn it back into the area over the limit
    lowest = limit / 2
    area = lowest + (2 * standardised - 1) * (1 - lowest)
    assert aupro(regions.overlap(), curves, limit) == pytest.approx(area, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_aupro_over_the_whole_range_equals_the_weighted_auroc(data):
    mask = data.draw(masks)
    assume(mask.any() and not mask.all())
    codes = data.draw(arrays.arrays(np.uint16, mask.shape, elements=st.integers(0, 6)))
    curves, regions = grade(codes[None], mask[None])
    expected = roc_auc_score(mask.ravel(), codes.ravel(), sample_weight=region_weights(mask[None]).ravel())
    assert aupro(regions.overlap(), curves, 1.0) == pytest.approx(expected, abs=1e-9)


def test_a_perfect_map_has_aupro_one_and_an_inverted_one_zero():
    _, mask = example(3)
    perfect = mask.astype(np.uint16) * 500
    curves, regions = grade(perfect, mask)
    assert aupro(regions.overlap(), curves) == pytest.approx(1, abs=1e-12)
    inverted = 500 - perfect
    curves, regions = grade(inverted, mask)
    assert aupro(regions.overlap(), curves) == pytest.approx(0, abs=1e-12)


def test_a_constant_map_has_the_area_of_the_diagonal():
    codes, mask = example(3)
    curves, regions = grade(np.full_like(codes, 7), mask)
    assert aupro(regions.overlap(), curves, 0.3) == pytest.approx(0.15, abs=1e-12)


def test_without_regions_or_normal_pixels_aupro_is_undefined():
    codes, mask = example(4)
    curves, regions = grade(codes, np.zeros_like(mask))
    assert regions.overlap() is None
    assert aupro(regions.overlap(), curves) is None
    curves, regions = grade(codes, np.ones_like(mask))
    assert aupro(regions.overlap(), curves) is None
