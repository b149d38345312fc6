import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture

from baselines.mixture import Mixture
from baselines.texture_inspection import TextureInspection, adjacent_maximum
from harness.errors import ConfigError, FitError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

SMALL = {"size": 64, "levels": 3, "components": 3, "vectors": 3000, "images": 4}


def fitted(tmp_path, seed=0, **options):
    training, images, masks = planted(size=64, train=8, test=6)
    torch.manual_seed(seed)
    detector = TextureInspection((3, 64, 64), **{**SMALL, **options})
    detector.fit(training, make_run(tmp_path, seed=seed))
    return detector, images, masks


def test_positive_exactly_where_two_adjacent_levels_are():
    torch.manual_seed(0)
    novelty = torch.randn(3, 4, 40, 40)
    region = novelty > 0
    united = (region[:, 0] & region[:, 1]) | (region[:, 1] & region[:, 2]) | (region[:, 2] & region[:, 3])
    assert not united.all()
    assert torch.equal(adjacent_maximum(novelty) > 0, united)
    # levels 0 and 2 are not neighbours
    apart = torch.tensor([1.0, -1, 1, -1]).view(1, 4, 1, 1)
    assert adjacent_maximum(apart).item() == -1
    assert torch.equal(adjacent_maximum(novelty[:, :1]), novelty[:, 0])


def test_log_likelihood_equals_scikit_learns():
    random = np.random.default_rng(0)
    vectors = (random.normal(size=(4000, 5)) @ random.normal(size=(5, 5)) * 0.05 + 0.5).astype(np.float32)
    vectors[:1500] += 0.3
    mixture = Mixture(4, 1e-3, 100, 1e-6)
    assert mixture.fit(vectors, 3)
    origin = vectors.mean(0, dtype=np.float64)
    centred = vectors.astype(np.float64) - origin
    ridge = 1e-6 * np.trace(np.cov(centred.T, bias=True)) / 5 + 1e-9
    oracle = GaussianMixture(4, tol=1e-3, reg_covar=ridge, random_state=3).fit(centred)
    unseen = np.concatenate([vectors[::7], random.uniform(-1, 2, (200, 5)).astype(np.float32)])
    expected = oracle.score_samples(unseen.astype(np.float64) - origin)
    given = mixture.log_likelihood(torch.from_numpy(unseen)).numpy()
    assert expected.min() < -100
    np.testing.assert_allclose(given, expected, rtol=1e-4, atol=1e-3)


def test_too_few_vectors_for_a_mixture():
    with pytest.raises(FitError, match="2 vectors are too few for 3"):
        Mixture(3, 1e-3, 10, 1e-6).fit(np.zeros((2, 4), np.float32), 0)


def test_a_constant_image_does_not_break_em(tmp_path):
    training, images, _ = planted(size=64, train=3)
    training.images[:] = 90
    detector = TextureInspection((3, 64, 64), **SMALL)
    detector.fit(training, make_run(tmp_path))
    assert predict(detector, images).maps.isfinite().all()


@pytest.mark.parametrize("norm", ["none", "weber"])
def test_vectors_are_projected_patches(norm):
    torch.manual_seed(0)
    detector = TextureInspection((1, 32, 32), **{**SMALL, "size": 32, "levels": 2}, norm=norm)
    detector.projection = torch.randn(17, 49)
    image = torch.rand(1, 1, 20, 24)
    patches = F.unfold(F.pad(image, [3] * 4, mode="reflect"), 7)[0].T
    if norm == "weber":
        length = patches.norm(dim=1, keepdim=True)
        patches = patches * torch.log(1 + length / 0.03) / length
    expected = (patches @ detector.projection.T).view(20, 24, 17)
    torch.testing.assert_close(detector.vectors_of(image)[0], expected, rtol=1e-4, atol=1e-4)


def test_levels_halve_and_keep_their_place():
    detector = TextureInspection((1, 128, 128), size=100)
    rows, columns = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")
    blob = torch.exp(-((rows + 0.5 - 80) ** 2 + (columns + 0.5 - 48) ** 2) / 300)[None, None]
    pyramid = detector.pyramid(blob)
    assert [tuple(level.shape[2:]) for level in pyramid] == [(100, 100), (50, 50), (25, 25), (13, 13)]
    for level in pyramid:
        weights, side = level[0, 0] / level.sum(), level.shape[-1]
        centre = (torch.arange(side) + 0.5) / side
        assert float((weights.sum(1) * centre).sum()) == pytest.approx(80 / 128, abs=0.01)
        assert float((weights.sum(0) * centre).sum()) == pytest.approx(48 / 128, abs=0.01)


def test_thresholds_are_the_quantile_of_training_pixels(tmp_path):
    detector, _, _ = fitted(tmp_path, quantile=0.99, images=8)
    training, _, _ = planted(size=64, train=8, test=6)
    images = torch.from_numpy(training.images).permute(0, 3, 1, 2).float() / 255
    above = detector.novelty(images)[:, 0] > 0
    assert float(above.float().mean()) == pytest.approx(0.01, abs=1e-3)
    fewer = fitted(tmp_path, quantile=0.99, images=8, sensitivity=-1.0)[0]
    torch.testing.assert_close(fewer.thresholds, detector.thresholds + detector.deviations)


def test_whole_patches_are_not_projected(tmp_path):
    assert torch.equal(fitted(tmp_path, dimensions=49, components=1)[0].projection, torch.eye(49))


def test_seeds_saving_loading_and_batches(tmp_path):
    detector, images, _ = fitted(tmp_path)
    prediction = predict(detector, images)
    assert prediction.maps.shape == (6, 64, 64)
    assert torch.equal(predict(fitted(tmp_path)[0], images).maps, prediction.maps)
    assert not torch.equal(predict(fitted(tmp_path, seed=1)[0], images).maps, prediction.maps)
    save_state(detector, tmp_path / "weights.safetensors")
    loaded = TextureInspection((3, 64, 64), **SMALL)
    load_state(loaded, tmp_path / "weights.safetensors")
    assert torch.equal(predict(loaded, images).maps, prediction.maps)
    assert torch.equal(predict(detector, images[1:2]).maps[0], prediction.maps[1])


def test_a_planted_defect_is_found_at_its_own_threshold(tmp_path):
    detector, images, masks = fitted(tmp_path)
    prediction = predict(detector, images)
    assert detector.own_threshold == 0
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.8
    assert prediction.scores[1::2].min() > 0
    assert prediction.scores[1::2].min() > prediction.scores[::2].max()


def test_the_mean_of_levels_has_no_threshold_of_its_own(tmp_path):
    detector, images, _ = fitted(tmp_path, combine="mean")
    assert detector.own_threshold is None
    novelty = detector.novelty(images).mean(1)
    expected = novelty.sign() * (1 + novelty.abs()).log()
    torch.testing.assert_close(predict(detector, images).maps, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 32, "levels": 4}, "option patch: 7 must be odd and less than the side of the last level, 4"),
        ({"patch": 6}, "option patch: 6 must be odd"),
        ({"norm": "l2"}, "option norm: 'l2'"),
        ({"combine": "product"}, "option combine: 'product'"),
        ({"dimensions": 50}, "option dimensions: 50"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        TextureInspection((3, 64, 64), **options)
