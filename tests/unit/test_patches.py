import pytest
import torch

from baselines.patches import map_by_patches, random_patches, starts
from baselines.scores import smoothed_maximum
from harness.errors import ConfigError


def test_windows_cover_the_side_and_end_flush():
    assert starts(512, 128, 30) == [*range(0, 361, 30), 384]
    assert len(starts(512, 128, 30)) == 14
    assert starts(512, 128, 128) == [0, 128, 256, 384]
    assert starts(32, 32, 30) == [0]


def test_maps_of_patches_are_averaged_where_they_overlap():
    images = torch.rand(3, 2, 23, 17)
    scored = []

    def score(patches):
        scored.append(len(patches))
        return patches.sum(1) + torch.arange(len(patches))[:, None, None] % 12

    maps = map_by_patches(images, score, 8, 5, at_once=30)
    total, count = torch.zeros(3, 23, 17), torch.zeros(23, 17)
    windows = [(top, left) for top in (0, 5, 10, 15) for left in (0, 5, 9)]
    for number, (top, left) in enumerate(windows):
        total[:, top : top + 8, left : left + 8] += images[:, :, top : top + 8, left : left + 8].sum(1) + number
        count[top : top + 8, left : left + 8] += 1
    torch.testing.assert_close(maps, total / count)
    assert scored == [24, 12]


def test_unturned_patches_are_pixels_of_the_image():
    torch.manual_seed(0)
    images = torch.rand(2, 3, 20, 30)
    patches = random_patches(images, 8, 5)
    assert patches.shape == (10, 3, 8, 8)
    corners = set()
    for number, patch in enumerate(patches):
        windows = images[number // 5].unfold(1, 8, 1).unfold(2, 8, 1)
        distance = (windows - patch[:, None, None]).abs().amax((0, 3, 4))
        assert distance.min() < 1e-5
        corners.add(int(distance.argmin()))
    assert len(corners) > 5


def test_turned_patches_stay_inside_where_there_is_room():
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    images = torch.stack([rows, columns]).expand(4, 2, 64, 48)
    patches = random_patches(images, 16, 25, rotation=45)
    y, x = patches.unbind(1)
    # positions differ by one pixel per step everywhere: nothing was reflected
    step = torch.stack([y[:, 1:] - y[:, :-1], x[:, 1:] - x[:, :-1]]).norm(dim=0)
    torch.testing.assert_close(step, torch.ones_like(step), atol=1e-3, rtol=0)
    angle = torch.atan2(y[:, 0, 1] - y[:, 0, 0], x[:, 0, 1] - x[:, 0, 0]).rad2deg()
    assert angle.abs().max() <= 45.01
    assert angle.min() < -30
    assert angle.max() > 30


def test_mirrored_patches_occur_along_both_axes():
    torch.manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
    patches = random_patches(torch.stack([rows, columns])[None], 8, 64, mirror=True)
    signs = {(float(p[0, 1, 0] - p[0, 0, 0]) > 0, float(p[1, 0, 1] - p[1, 0, 0]) > 0) for p in patches}
    assert len(signs) == 4


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(ConfigError, match="option patch: 32"):
        random_patches(torch.zeros(1, 1, 16, 16), 32)


def test_score_is_the_largest_mean_of_nine_pixels():
    maps = torch.zeros(2, 9, 9)
    maps[0, 4, 4], maps[1, 0, 0] = 9, 4
    assert smoothed_maximum(maps).tolist() == [1, 1]
