"""PatchCore and PaDiM: what they compute, against the definitions; defects that they find."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist, mahalanobis
from sklearn.metrics import roc_auc_score

from baselines.modern.features import PatchFeatures, enlarge
from baselines.modern.padim import Padim
from baselines.modern.patchcore import PatchCore, coreset
from baselines.modern.student_teacher import StudentTeacher
from harness.errors import ConfigError, FitError
from harness.training.loop import Batch
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

SMALL = {PatchCore: {"share": 0.1, "sigma": 1.0}, Padim: {"kept": 24, "sigma": 1.0}}
LAYERS = {"layers": ["layer2", "layer3"]}
SHAPE = (3, 64, 64)


def fitted(kind, folder, seed=0, **options):
    training, images, masks = planted()
    torch.manual_seed(seed)
    detector = kind(SHAPE, **{**SMALL[kind], **LAYERS, **options})
    detector.fit(training, make_run(folder, seed=seed))
    return detector, training, images, masks


def test_descriptors_are_the_layers_side_by_side_on_the_finest_grid():
    features, images = PatchFeatures("efficientnet_lite0", "imagenet", ["layer2", "layer3"]), torch.rand(2, *SHAPE)
    described = features(images)
    assert described.shape == (2, 24 + 40, 16, 16)
    outputs = features.backbone(images)
    torch.testing.assert_close(described[:, :24], outputs["layer2"])
    repeated = PatchFeatures("efficientnet_lite0", "imagenet", ["layer2", "layer3"], resize="nearest")(images)
    torch.testing.assert_close(repeated[:, 24:, ::2, 1::2], outputs["layer3"])
    averaged = PatchFeatures("efficientnet_lite0", "imagenet", ["layer2"], pool=3)(images)
    torch.testing.assert_close(averaged[:, :, 4, 5], outputs["layer2"][:, :, 3:6, 4:7].mean((2, 3)))


def test_maps_are_enlarged_then_smoothed_as_scipy_does():
    grid = torch.rand(1, 8, 8)
    plain = enlarge(grid, (32, 32), 0.0)
    smooth = gaussian_filter(plain[0].numpy(), 2.0, mode="mirror")
    np.testing.assert_allclose(enlarge(grid, (32, 32), 2.0)[0].numpy(), smooth, atol=1e-4)


def test_a_coreset_takes_the_farthest_point_next(tmp_path):
    points = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 5))).float()
    chosen = coreset(points, 20, make_run(tmp_path)).tolist()
    assert len(set(chosen)) == 20
    distances = cdist(points.numpy(), points.numpy())
    for number in range(1, 20):
        nearest = distances[:, chosen[:number]].min(1)
        assert nearest[chosen[number]] == pytest.approx(nearest.max(), rel=1e-4)


def test_a_coreset_of_equal_points_takes_each_once(tmp_path):
    assert sorted(coreset(torch.ones(7, 3), 7, make_run(tmp_path)).tolist()) == list(range(7))


def test_patchcores_map_and_score_are_those_of_the_paper(tmp_path):
    detector, _, images, _ = fitted(PatchCore, tmp_path, sigma=0.0, neighbours=3)
    assert detector.memory.shape == (int(0.1 * 12 * 256), 64)
    memory = detector.memory.double().numpy()
    described = detector.features(images[1:2])[0].flatten(1).T.double().numpy()
    distances = cdist(described, memory)
    nearest = distances.min(1)
    prediction = predict(detector, images[1:2])
    grid = torch.from_numpy(nearest).view(1, 1, 16, 16)
    expected = torch.nn.functional.interpolate(grid, (64, 64), mode="bilinear")[0, 0]
    np.testing.assert_allclose(prediction.maps[0].numpy(), expected.numpy(), atol=1e-3)
    worst = nearest.argmax()
    around = cdist(memory[[distances[worst].argmin()]], memory)[0].argsort()[:3]
    weight = 1 - np.exp(nearest[worst]) / np.exp(distances[worst, around]).sum()
    assert float(prediction.scores[0]) == pytest.approx(weight * nearest[worst], rel=1e-3)
    detector.neighbours = 1
    assert float(predict(detector, images[1:2]).scores[0]) == pytest.approx(nearest.max(), rel=1e-4)


def test_patchcore_searches_no_more_candidates_than_it_may(tmp_path):
    detector, *_ = fitted(PatchCore, tmp_path, candidates=100)
    assert len(detector.memory) == 100


def test_padims_distance_is_mahalanobis(tmp_path):
    detector, training, images, _ = fitted(Padim, tmp_path, sigma=0.0)
    to_tensor = torch.from_numpy(training.images).permute(0, 3, 1, 2).float() / 255
    normal = detector.features(to_tensor)[:, detector.kept, 5, 9].double().numpy()
    inverse = np.linalg.inv(np.cov(normal.T) + 0.01 * np.eye(24))
    shown = detector.features(images)[:, detector.kept, 5, 9].double().numpy()
    expected = [mahalanobis(one, normal.mean(0), inverse) for one in shown]
    described = detector.features(images)[:, detector.kept].flatten(2).permute(2, 0, 1)
    whitened = (described - detector.mean) @ detector.whitening.transpose(1, 2)
    np.testing.assert_allclose(whitened.norm(dim=2)[5 * 16 + 9].numpy(), expected, rtol=1e-3)
    prediction = predict(detector, images)
    torch.testing.assert_close(prediction.scores, prediction.maps.amax((1, 2)))


@pytest.mark.parametrize("kind", [PatchCore, Padim])
def test_a_planted_defect_is_found_and_what_was_learnt_is_in_the_weights(kind, tmp_path):
    detector, _, images, masks = fitted(kind, tmp_path)
    prediction = predict(detector, images)
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.9
    assert prediction.scores[1::2].min() > prediction.scores[::2].max()
    save_state(detector, tmp_path / "w.safetensors")
    torch.manual_seed(1)
    loaded = kind(SHAPE, **{**SMALL[kind], **LAYERS})
    load_state(loaded, tmp_path / "w.safetensors")
    assert torch.equal(predict(loaded, images).maps, prediction.maps)
    other = fitted(kind, tmp_path, seed=1)[0]
    assert not torch.equal(predict(other, images).scores, prediction.scores)


def test_grey_images_will_do(tmp_path):
    training, images, _ = planted(channels=1)
    for kind in (PatchCore, Padim):
        detector = kind((1, 64, 64), **SMALL[kind], **LAYERS)
        detector.fit(training, make_run(tmp_path))
        assert predict(detector, images).maps.shape == (6, 64, 64)


def test_options_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="option share: 0 is not a share"):
        PatchCore(SHAPE, share=0)
    with pytest.raises(ConfigError, match="option kept: 65 is not between 1 and the descriptor's 64"):
        Padim(SHAPE, kept=65, **LAYERS)
    with pytest.raises(FitError, match="two or more training images"):
        Padim(SHAPE, kept=5, **LAYERS).fit(planted(train=1)[0], make_run(tmp_path))


def student(folder, **training):
    """Return a small student–teacher after a short fit, and test images with their masks."""
    data, images, masks = planted(train=12, validation=6)
    torch.manual_seed(0)
    detector = StudentTeacher(SHAPE, **LAYERS, width=8, hard=0.9)
    detector.fit(data, make_run(folder, batch_size=4, images_seen=320, learning_rate=3e-3, **training))
    return detector, data, images, masks


def test_the_student_finds_a_planted_defect_and_its_maps_are_scaled_on_validation_images(tmp_path):
    detector, data, images, masks = student(tmp_path)
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert roc_auc_score(masks.ravel(), prediction.maps.numpy().ravel()) > 0.7
    validation = torch.from_numpy(data.validation).permute(0, 3, 1, 2).float() / 255
    maps = detector.eval()._maps(validation)
    for number in range(2):
        low, high = np.quantile(maps[number].detach().numpy(), [0.9, 0.995])
        np.testing.assert_allclose(detector.quantiles[number].numpy(), [low, high], rtol=1e-3)
    taught = detector._taught(torch.from_numpy(data.images).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(taught.mean((0, 2, 3)), torch.zeros(64), atol=1e-3, rtol=0)
    torch.testing.assert_close(taught.std((0, 2, 3)), torch.ones(64), atol=1e-2, rtol=0)


def test_the_students_penalty_is_applied_where_there_are_other_images(tmp_path):
    data, *_ = planted(train=4)
    detector, run = StudentTeacher(SHAPE, **LAYERS, width=4), make_run(tmp_path)
    batch = Batch(run.images(data.images).contiguous(), torch.zeros(4), 0, 0, 0.0)
    assert "penalty" not in detector._loss(batch, run, None)
    losses = detector._loss(batch, run, data.images)
    assert float(losses["loss"].detach()) == pytest.approx(
        sum(float(v.detach()) for k, v in losses.items() if k != "loss"), rel=1e-4
    )
    assert "penalty" in losses
    with pytest.raises(FitError, match="set `validation: true`"):
        detector.fit(planted(validation=0)[0], run)
