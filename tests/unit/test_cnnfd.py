import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from baselines.cnnfd import FeatureDictionary
from harness.errors import ConfigError, DataError, FitError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

LITE0 = {"encoder": "efficientnet_lite0"}
SMALL = {"network_input": 32, "patches": 96, "stride": 8, **LITE0}
RANDOM = {"encoder_weights": "none"}


class MeanColour(nn.Module):
    """A network whose last layer is the patch itself, so that its features are the patch's mean colour."""

    def forward(self, patches):
        return {"head": patches}


def fitted(tmp_path, seed=0, **options):
    training, images, masks = planted(size=48, train=6, test=4)
    torch.manual_seed(seed)
    detector = FeatureDictionary((3, 48, 48), **{**SMALL, **options})
    detector.fit(training, make_run(tmp_path, seed=seed))
    return detector, images, masks


def by_colour(shape, **options):
    """Return a detector whose patch score is the length of the patch's mean colour, without any training."""
    detector = FeatureDictionary(shape, **LITE0, normalise="none", centres=1, **options)
    detector.network, colours = MeanColour(), shape[0]
    detector.feature_mean, detector.components = torch.zeros(colours), torch.eye(colours)
    detector.dictionary = torch.zeros(1, colours)
    return detector.eval()


@pytest.mark.parametrize(("size", "cells"), [(256, 61), (512, 125)])
def test_the_published_grids(size, cells):
    detector = by_colour((1, size, size), network_input=1)
    assert detector.grid == (cells, cells)
    assert detector.patch_scores(torch.rand(1, size, size)).shape == (cells, cells)


def test_scores_lie_at_patch_centres_and_in_between_linearly():
    detector = by_colour((3, 40, 56), patch=9, stride=4, network_input=9)
    image = torch.rand(3, 40, 56)
    placed = predict(detector, image[None]).maps[0]
    expected = image.unfold(1, 9, 4).unfold(2, 9, 4).mean((3, 4)).norm(dim=0)
    rows, columns = expected.shape
    assert (rows, columns) == detector.grid == (8, 12)
    torch.testing.assert_close(placed[4:33:4, 4:49:4], expected)
    torch.testing.assert_close(placed[4, 5], 0.75 * expected[0, 0] + 0.25 * expected[0, 1])
    assert torch.equal(placed[0, :5], placed[4, 4].expand(5))


def test_overlap_is_the_mean_over_covering_patches():
    detector = FeatureDictionary((3, 40, 40), patch=16, stride=4, placement="overlap", **RANDOM)
    scores = torch.rand(2, *detector.grid)
    total, coverage = np.zeros((2, 40, 40)), np.zeros((40, 40))
    for row in range(7):
        for column in range(7):
            window = np.s_[4 * row : 4 * row + 16, 4 * column : 4 * column + 16]
            total[(slice(None), *window)] += scores[:, row, column, None, None].numpy()
            coverage[window] += 1
    assert coverage.min() == 1
    assert coverage.max() == 16
    np.testing.assert_allclose(detector.place(scores).numpy(), total / coverage, rtol=1e-5)
    assert torch.equal(detector.place(torch.ones(1, 7, 7)), torch.ones(1, 40, 40))


def test_pca_keeps_just_enough_components_for_95_percent(tmp_path, monkeypatch):
    seen = []
    original = FeatureDictionary.features
    monkeypatch.setattr(FeatureDictionary, "features", lambda *given: seen.append(original(*given)) or seen[-1])
    detector, _, _ = fitted(tmp_path)
    features = torch.cat(seen).double()
    assert len(features) == SMALL["patches"]
    torch.testing.assert_close(features.abs().sum(1), torch.ones(96).double(), atol=1e-5, rtol=0)
    centred = features - features.mean(0)
    kept = (centred @ detector.components.double().T).square().sum(0) / centred.square().sum()
    assert kept.sum() >= 0.95
    assert kept[:-1].sum() < 0.95
    assert detector.dictionary.shape == (10, len(detector.components))


def test_a_score_is_the_mean_distance_to_the_nearest_centres():
    detector = by_colour((1, 16, 16), network_input=16)
    detector.dictionary = torch.tensor([[0.0], [5.0], [1.0]])
    black = torch.zeros(1, 16, 16)
    assert detector.patch_scores(black).item() == 0
    detector.neighbours = 2
    assert detector.patch_scores(black).item() == pytest.approx(0.5)


def test_gray_images_are_repeated_into_three_channels(tmp_path):
    detector = FeatureDictionary((1, 32, 32), **LITE0)
    colour = FeatureDictionary((3, 32, 32), **LITE0)
    patches = torch.rand(4, 1, 16, 16)
    detector.eval(), colour.eval()
    detector.network_input = colour.network_input = 32
    torch.testing.assert_close(detector.features(patches), colour.features(patches.expand(-1, 3, -1, -1)))


def test_seeds_saving_loading_and_batches(tmp_path):
    detector, images, masks = fitted(tmp_path)
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert prediction.maps.isfinite().all()
    again = fitted(tmp_path)[0]
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in detector.state_dict().items())
    other = fitted(tmp_path, seed=1)[0]
    assert not torch.equal(predict(other, images).scores, prediction.scores)
    save_state(detector, tmp_path / "weights.safetensors")
    loaded = FeatureDictionary((3, 48, 48), **SMALL)
    load_state(loaded, tmp_path / "weights.safetensors")
    restored = predict(loaded, images)
    assert torch.equal(restored.maps, prediction.maps)
    assert torch.equal(restored.scores, prediction.scores)
    assert torch.equal(predict(detector, images[1:2]).maps[0], prediction.maps[1])


def test_a_planted_defect_is_found(tmp_path):
    detector, images, masks = fitted(tmp_path, stride=4, rotation=10, mirror=True)
    prediction = predict(detector, images)
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.7
    assert prediction.scores[1::2].min() > prediction.scores[::2].max()


def test_without_its_weights_it_is_not_built():
    with pytest.raises(DataError, match=r"no ImageNet weights of ResNet-18"):
        FeatureDictionary((3, 32, 32))
    assert FeatureDictionary((3, 32, 32), **RANDOM).weights_origin == "random initialisation"


@pytest.mark.parametrize(("options", "length"), [(RANDOM, 512), (LITE0, 1280)])
def test_features_are_what_the_classifier_would_read(options, length):
    detector = FeatureDictionary((3, 32, 32), network_input=64, normalise="none", **options)
    assert detector.features(torch.rand(3, 3, 16, 16)).shape == (3, length)


def test_too_few_patches_for_the_dictionary(tmp_path):
    with pytest.raises(FitError, match="5 training patches are too few for 10 centres"):
        fitted(tmp_path, patches=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch": 33}, "option patch: 33"),
        ({"placement": "corner"}, "option placement: 'corner'"),
        ({"placement": "overlap", "stride": 5}, "option stride: 5"),
        ({"encoder_weights": "places"}, "unknown weights 'places'"),
        ({"encoder": "vgg"}, "unknown pretrained network 'vgg'"),
        ({"normalise": "l2"}, "option normalise: 'l2'"),
        ({"neighbours": 11}, "option neighbours: 11"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(ConfigError, match=message):
        FeatureDictionary((3, 32, 32), **{**RANDOM, **options})
