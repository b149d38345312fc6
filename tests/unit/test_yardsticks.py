"""Yardsticks against what can be said of them without running them."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from harness.errors import EvidenceError
from harness.metrics.yardsticks import cell_shares, centre, distance, grade, mean_and_deviation, yardsticks
from harness.records.yardsticks import CategoryYardsticks, measure_yardsticks


def category(side=40, count=12, seed=0):
    """Textured training images; test images of which every third has a bright square off the centre."""
    generator = np.random.default_rng(seed)
    train = generator.integers(90, 130, (20, side, side, 3)).astype(np.uint8)
    test = generator.integers(90, 130, (count, side, side, 3)).astype(np.uint8)
    masks = np.zeros((count, side, side), np.uint8)
    for number in range(0, count, 3):
        masks[number, 3:12, 20 : 26 + number] = 1
    test[masks == 1] += 100
    return train, test, masks


@pytest.fixture(scope="module")
def graded():
    train, test, masks = category()
    labels = masks.any(axis=(1, 2))
    found = {y.id: grade(y, masks, labels) for y in yardsticks(train, test, masks)}
    return masks, found


def test_marking_everything_reaches_the_anomalous_share_and_finds_every_image(graded):
    masks, found = graded
    everything = found["everything"]
    assert everything.value("iou") == pytest.approx(masks.mean())
    assert everything.value("share_marked") == 1
    assert everything.value("pixel_auroc") == everything.value("image_auroc") == 0.5
    assert everything.value("accuracy") == pytest.approx(masks.any(axis=(1, 2)).mean())


def test_noise_ranks_by_chance_and_is_the_same_every_time(graded):
    _, found = graded
    assert found["random"].value("pixel_auroc") == pytest.approx(0.5, abs=0.03)
    train, test, masks = category()
    first, again, other = ([*yardsticks(train, test, masks, seed)[1].maps()] for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_centre_is_highest_in_the_middle_and_zero_in_the_corners():
    found = centre(5, 9)
    assert np.unravel_index(found.argmax(), found.shape) == (2, 4)
    assert (found.max(), found[0, 0], found[4, 8]) == (1, 0, 0)
    assert found[2, 3] == found[2, 5] == found[1, 4]


def test_mean_and_deviation_are_numpys():
    train, _, _ = category()
    mean, deviation = mean_and_deviation(train)
    assert mean == pytest.approx((train / 255).mean(axis=0), abs=1e-12)
    assert deviation == pytest.approx((train / 255).std(axis=0), abs=1e-12)


def test_a_pixel_that_never_changes_has_no_deviation():
    _, deviation = mean_and_deviation(np.full((7, 2, 2, 1), 201, np.uint8))
    assert not deviation.any()


def test_the_distance_is_averaged_over_channels():
    image = np.array([[[0, 255, 51]]], np.uint8)
    assert distance(image, np.zeros((1, 1, 3)))[0, 0] == pytest.approx(0.4)
    assert distance(image, np.zeros((1, 1, 3)), 0.5)[0, 0] == pytest.approx(0.8)


def test_defects_far_from_the_mean_are_found(graded):
    _, found = graded
    for name in ("mean", "mean_deviation"):
        assert found[name].value("pixel_auroc") > 0.99
        assert found[name].value("image_auroc") == 1
    assert found["mean_deviation"].score == "max"


@pytest.mark.parametrize("cells", [2, 3, 4])
def test_no_map_of_whole_cells_beats_the_best_one(cells):
    """Every map of cells of a small image is tried, also where cells are of unequal size."""
    generator = np.random.default_rng(cells)
    mask = (generator.random((10, 7)) < generator.random((10, 7)) ** 2).astype(np.uint8)
    rows, columns = np.arange(10) * cells // 10, np.arange(7) * cells // 7

    def overlap(chosen):
        return (chosen & (mask == 1)).sum() / (chosen | (mask == 1)).sum()

    shares = cell_shares(mask, cells)
    best = max(overlap(shares >= value) for value in np.unique(shares))
    choices = itertools.product([False, True], repeat=cells**2)
    tried = [overlap(np.reshape(choice, (cells, cells))[np.ix_(rows, columns)]) for choice in choices]
    assert best == pytest.approx(max(tried[1:]), abs=1e-12)


def test_finer_cells_reach_more_and_have_no_image_score(graded):
    _, found = graded
    reached = [found[f"cells_{cells}"].value("iou") for cells in (8, 16, 32)]
    assert reached == sorted(reached)
    assert 0.3 < reached[0] < reached[-1] < 1
    assert found["cells_8"].value("image_auroc") is None


def test_cells_as_small_as_pixels_are_left_out():
    train, test, masks = category(side=16)
    assert [y.id for y in yardsticks(train, test, masks) if y.score is None] == ["cells_8"]


def test_without_masks_scores_alone_are_measured():
    train, test, masks = category()
    labels = masks.any(axis=(1, 2))
    found = {y.id: grade(y, None, labels) for y in yardsticks(train, test, None)}
    assert list(found) == ["everything", "random", "centre", "mean", "mean_deviation"]
    assert found["mean"].value("image_auroc") == 1
    assert found["mean"].value("iou") is None


class Folder:
    """The part of prepared data that yardsticks read."""

    def __init__(self):
        self.train, self.test, self.masks = category()
        self.test_labels = self.masks.any(axis=(1, 2))
        self.manifest = SimpleNamespace(digest="d" * 64)


def test_a_file_holds_what_was_measured(tmp_path):
    measured = measure_yardsticks(Folder())
    measured.write(tmp_path / "work" / "yardsticks.json")
    again = CategoryYardsticks.read(tmp_path / "work" / "yardsticks.json")
    assert again == measured
    assert again.value("everything", "share_marked") == 1
    assert again.value("nothing", "iou") is again.value("cells_8", "image_auroc") is None


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 0, "data_digest": "", "yardsticks": []}', None])
def test_a_damaged_file_is_refused_with_the_remedy(tmp_path, text):
    path = tmp_path / "y.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(EvidenceError, match="delete the file and build again"):
        CategoryYardsticks.read(path)
