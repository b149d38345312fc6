import logging
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from baselines.imaging import blur, compose, inverse, warp
from baselines.shape_matching import Search, ShapeMatcher
from baselines.variation_model import VariationModel
from harness.errors import ConfigError
from harness.training.detector import TrainingSet
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict


def part(size=96):
    """Return a gray part (1,1,S,S) without rotational symmetry, in levels of 255."""
    unit = (torch.arange(size) + 0.5) / size - 0.5
    y, x = unit[:, None], unit[None, :]
    image = torch.full((size, size), 200.0)
    image[(x.abs() < 0.28) & (y.abs() < 0.13)] = 80
    image[(x + 0.14) ** 2 + (y + 0.03) ** 2 < 0.06**2] = 160
    image[((x - 0.2).abs() < 0.04) & ((y - 0.1).abs() < 0.1)] = 50
    return blur(image[None, None])


def moved(image, degrees, shift):
    """Return the image in which `image` is found at this pose."""
    motion = torch.tensor([math.radians(degrees)]), torch.tensor([shift], dtype=torch.float)
    return warp(image, *inverse(*motion), "border")


def parts(poses, seed=0):
    """Return a training set of the part at these poses, with noise and changing light."""
    random = np.random.default_rng(seed)
    images = [moved(part(), degrees, shift)[0, 0].numpy() * random.uniform(0.95, 1.05) for degrees, shift in poses]
    pixels = np.clip(np.stack(images) + random.normal(0, 2, (len(poses), 96, 96)), 0, 255).round()
    pixels = pixels.astype(np.uint8)[..., None]
    return TrainingSet(pixels, np.zeros(len(poses), np.int64), pixels[:0], pixels[:0], "object")


def random_poses(count, degrees, pixels, seed=0):
    random = np.random.default_rng(seed)
    return [(random.uniform(-degrees, degrees), tuple(random.uniform(-pixels, pixels, 2))) for _ in range(count)]


def as_images(train):
    return torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255


def test_a_warp_and_its_inverse_cancel():
    motion = torch.tensor([0.4, -2.1]), torch.tensor([[3.2, -1.5], [-4.4, 0.3]])
    angles, shifts = compose(motion, inverse(*motion))
    torch.testing.assert_close(angles, torch.zeros(2))
    torch.testing.assert_close(shifts, torch.zeros(2, 2), atol=1e-5, rtol=0)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    place = torch.stack([columns, rows]).expand(2, 2, 64, 48)
    there_and_back = warp(warp(place, *motion, "border"), *inverse(*motion), "border")
    middle = np.s_[..., 26:38, 18:30]
    assert (there_and_back - place)[middle].norm(dim=1).max() < 0.3
    assert (warp(place, *motion, "border") - place)[middle].norm(dim=1).max() > 3


def test_a_warp_turns_and_shifts_as_its_docstring_says():
    image = torch.zeros(1, 1, 41, 41)
    image[0, 0, 20, 30] = 1
    # sampled at R(90°)(x − c) + c + (2, 1): the point ten right of the centre is what lies at x = (−1, −8) + c
    turned = warp(image, torch.tensor([math.pi / 2]), torch.tensor([[2.0, 1.0]]), "zeros")
    assert divmod(int(turned.argmax()), 41) == (20 - 8, 20 - 1)
    assert turned.max() > 0.99


@pytest.mark.parametrize(
    ("degrees", "shift", "max_angle"),
    [(0, (4.3, -6.8), 0), (7.3, (5.2, -3.4), 10), (-131, (3, 4.5), 180), (179, (0, 2), 180)],
)  # fmt: skip
def test_alignment_finds_a_known_pose(degrees, shift, max_angle):
    torch.manual_seed(0)
    matcher = ShapeMatcher(part(), Search(size=96, max_angle=max_angle))
    image = 0.8 * moved(part(), degrees, shift) + 15 + 2 * torch.randn(1, 1, 96, 96)
    pose = matcher.find(image)
    assert math.degrees(math.remainder(pose.angle - math.radians(degrees), 2 * math.pi)) == pytest.approx(0, abs=0.2)
    assert pose.shift == pytest.approx(shift, abs=0.1)
    assert pose.similarity > 0.8


def test_the_search_may_run_on_a_smaller_image():
    pose = ShapeMatcher(part(192), Search(size=96)).find(moved(part(192), -6.2, (9.5, 4.0)))
    assert math.degrees(pose.angle) == pytest.approx(-6.2, abs=0.2)
    assert pose.shift == pytest.approx((9.5, 4.0), abs=0.2)


def test_angles_of_the_search():
    degrees = Search(max_angle=180, angle_step=3).coarse().rad2deg()
    assert len(degrees) == 120
    assert {0, 180} <= set(degrees.round().int().tolist())
    assert Search(max_angle=0).coarse().tolist() == [0]
    fine = Search(max_angle=10).fine(math.radians(9)).rad2deg()
    torch.testing.assert_close(fine, torch.arange(6, 10.25, 0.5), atol=1e-4, rtol=0)


def test_the_map_of_the_mean_image_is_zero():
    detector = VariationModel((1, 48, 48))
    detector.mean, detector.deviation = 255 * torch.rand(48, 48), 20 * torch.rand(48, 48)
    nothing = torch.zeros(1), torch.zeros(1, 2)
    assert detector.compare(detector.mean[None, None], *nothing).abs().max() < 1e-3
    # HALCON's rule, |I − mean| > max(10, 2·deviation), is the map's value 2
    other = 255 * torch.rand(1, 1, 48, 48)
    rule = (other[0, 0] - detector.mean).abs() > torch.clamp(2 * detector.deviation, min=10)
    assert torch.equal(detector.compare(other, *nothing)[0] > 2, rule)


def test_the_map_is_zero_where_the_warp_left_the_image():
    detector = VariationModel((1, 32, 32))
    maps = detector.compare(torch.full((1, 1, 32, 32), 200.0), torch.zeros(1), torch.tensor([[6.0, 0.0]]))
    assert maps[0, :, :6].max() == 0
    assert maps[0, :, 7:31].min() == pytest.approx(40)


@pytest.mark.parametrize("mode", ["standard", "robust"])
def test_mean_and_deviation_of_images(tmp_path, mode):
    train = parts([(0, (0, 0))] * 11)
    # no image reaches a similarity of 2: all stay where they are
    detector = VariationModel((1, 96, 96), mode=mode, minimum_similarity=2)
    detector.fit(train, make_run(tmp_path))
    stack = train.images[..., 0].astype(float)
    if mode == "standard":
        centre, spread = stack.mean(axis=0), stack.std(axis=0)
    else:
        centre = np.median(stack, axis=0)
        spread = 1.4826 * np.median(np.abs(stack - centre), axis=0)
    np.testing.assert_allclose(detector.mean, centre, atol=1e-3)
    np.testing.assert_allclose(detector.deviation, spread, atol=1e-3)


def test_turned_parts_are_compared_after_alignment_and_defects_lie_where_they_are(tmp_path):
    train = parts(random_poses(8, 180, 5))
    detector = VariationModel((1, 96, 96), max_angle=180, search_size=96)
    still = VariationModel((1, 96, 96), minimum_similarity=2)
    for each in (detector, still):
        each.fit(train, make_run(tmp_path))
    assert still.deviation.quantile(0.9) > 3 * detector.deviation.quantile(0.9)
    images = as_images(parts(random_poses(4, 180, 5, seed=1), seed=1))
    masks = torch.zeros(4, 96, 96, dtype=torch.bool)
    for number in (1, 3):
        masks[number, 44:50, 45:51] = True
    images[masks[:, None]] = 0.95
    prediction = predict(detector, images)
    assert roc_auc_score(masks.numpy().ravel(), prediction.maps.numpy().ravel()) > 0.98
    assert prediction.scores[1::2].min() > 1.5 * prediction.scores[::2].max()
    still.load_state_dict(detector.state_dict())
    assert predict(still, images).scores[0] > 3 * prediction.scores[0]


def test_what_cannot_be_aligned_stays_and_is_logged(tmp_path, caplog):
    detector = VariationModel((1, 96, 96), max_angle=0)
    detector.fit(parts(random_poses(4, 0, 3)), make_run(tmp_path))
    torch.manual_seed(0)
    images = torch.cat([as_images(parts([(0, (2, 1))])), torch.rand(1, 1, 96, 96)])
    with caplog.at_level(logging.WARNING):
        prediction = predict(detector, images)
    assert "1 of 2 images could not be aligned" in caplog.text
    expected = detector.compare(255 * images[1:], torch.zeros(1), torch.zeros(1, 2))
    torch.testing.assert_close(prediction.maps[1:], expected)


def test_seeds_saving_loading_and_batches(tmp_path):
    training, images, masks = planted(size=48, train=12, kind="object")
    made = []
    for seed in (0, 0, 1):
        made.append(VariationModel((3, 48, 48), images=6))
        made[-1].fit(training, make_run(tmp_path, seed=seed))
    first, again, other = (predict(detector, images) for detector in made)
    assert first.maps.shape == masks.shape
    assert torch.equal(first.maps, again.maps)
    assert not torch.equal(first.maps, other.maps)
    save_state(made[0], tmp_path / "weights.safetensors")
    # predicts with the templates of the reference that is loaded, not of one before
    load_state(made[2], tmp_path / "weights.safetensors")
    assert torch.equal(predict(made[2], images).maps, first.maps)
    assert torch.equal(predict(made[0], images[1:2]).maps[0], first.maps[1])
    assert roc_auc_score(masks.ravel(), first.maps.numpy().ravel()) > 0.8
    assert first.scores[1::2].min() > first.scores[::2].max()


@pytest.mark.parametrize(
    ("options", "message"), [({"mode": "best"}, "option mode: 'best'"), ({"sigma_floor": 0}, "option sigma_floor: 0")]
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        VariationModel((3, 32, 32), **options)
