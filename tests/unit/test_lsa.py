import dataclasses

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from baselines.autoregression import AutoregressiveEstimator, MaskedConnection, surprisal
from baselines.lsa import Lsa
from baselines.lsa_networks import NETWORKS, deep, down
from harness.errors import ConfigError, FitError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

SMALL = {"code": 16, "widths": (8, 8)}


@pytest.mark.parametrize("length", [3, 11, 16])
def test_logits_depend_on_earlier_elements_and_on_nothing_else(length):
    torch.manual_seed(0)
    estimator = AutoregressiveEstimator(length, (4, 4), bins=5)
    jacobian = torch.autograd.functional.jacobian(lambda codes: estimator(codes)[0], torch.rand(1, length))[:, :, 0]
    reached = jacobian.abs().sum(1) > 0
    assert torch.equal(reached, torch.ones(length, length).tril(-1).bool())


@pytest.mark.parametrize("strict", [True, False])
def test_the_blocks_equal_one_masked_matrix(strict):
    positions, source, target = 11, 2, 3
    torch.manual_seed(0)
    layer = MaskedConnection(positions, source, target, strict=strict)
    inputs = torch.rand(4, positions * source)
    weight = torch.autograd.functional.jacobian(lambda x: layer(x[None])[0], inputs[0])
    torch.testing.assert_close(layer(inputs), inputs @ weight.T + layer.bias)
    for row in range(positions * target):
        for column in range(positions * source):
            i, j = column // source, row // target
            assert (weight[row, column] != 0) == (i < j if strict else i <= j)
    assert sum(p.numel() for p in layer.parameters()) < weight.numel() * 0.62


def test_the_estimator_is_the_published_one():
    layers = [m for m in AutoregressiveEstimator().modules() if isinstance(m, MaskedConnection)]
    assert [layer.channels_in for layer in layers] == [1, 32, 32, 32, 32]
    assert [len(layer.bias) // 64 for layer in layers] == [32, 32, 32, 32, 100]
    assert [bool(layer.mask0.diagonal().any()) for layer in layers] == [False, True, True, True, True]


def test_surprisal_is_the_negative_log_likelihood_of_the_bins():
    codes, logits = torch.tensor([[0.0, 0.499, 1.0]]), torch.randn(1, 3, 100)
    expected = -torch.distributions.Categorical(logits=logits).log_prob(torch.tensor([[0, 49, 99]])).sum(1)
    torch.testing.assert_close(surprisal(codes, logits), expected)
    sure = torch.zeros(1, 3, 100)
    sure[:, :, 50] = 30
    assert surprisal(codes, sure) == pytest.approx(3 * 30, abs=1e-3), "not clipped at float32's 15.9 nats an element"


def test_the_encoder_is_moved_by_the_surprisal_alone():
    detector = Lsa((1, 16, 16), likelihood_weight=3.0, **SMALL)
    images = torch.rand(4, 1, 16, 16)
    codes = detector.encoder(images)
    losses = detector.losses(images, images, codes, detector.estimator(codes))
    assert losses["error"] == 0
    torch.testing.assert_close(losses["loss"], 3 * losses["surprisal"])
    losses["loss"].backward()
    assert all(p.grad.abs().sum() > 0 for p in detector.encoder.parameters())


def test_the_published_plans():
    shapes = []
    for name, shape in (("shallow", (1, 32, 32)), ("stemmed", (3, 32, 32)), ("deep", (3, 64, 64))):
        encoder, decoder = NETWORKS[name](shape, 64)
        for block in [*encoder[0], *decoder]:
            block.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
        codes = encoder(torch.rand(2, *shape))
        assert ((codes > 0) & (codes < 1)).all()
        assert decoder(codes).shape == (2, *shape)
        assert isinstance(decoder[-1], nn.Conv2d)
        assert decoder[-1].bias is None
    maps = [shape for shape in shapes if len(shape) == 3]
    assert maps == [
        (32, 16, 16), (64, 8, 8), (64, 8, 8), (32, 16, 16), (16, 32, 32), (1, 32, 32),
        (32, 30, 30), (32, 30, 30), (32, 30, 30), (64, 15, 15), (128, 8, 8), (256, 4, 4),
        (256, 4, 4), (128, 8, 8), (64, 16, 16), (32, 32, 32), (32, 32, 32), (3, 32, 32),
        (32, 32, 32), (64, 16, 16), (128, 8, 8), (256, 4, 4),
        (256, 4, 4), (128, 8, 8), (64, 16, 16), (32, 32, 32), (32, 64, 64), (3, 64, 64),
    ]  # fmt: skip


def test_no_strided_pointwise_convolution_whose_gradient_crashes_on_cpus():
    torch.manual_seed(0)
    for shape in ((3, 128, 128), (3, 32, 32), (1, 32, 32)):
        encoder, _ = NETWORKS["deep" if shape[1] > 32 else "stemmed" if shape[0] == 3 else "shallow"](shape, 64)
        pointwise = [m for m in encoder.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
        assert pointwise
        assert {m.stride for m in pointwise} == {(1, 1)}
    skip, features = down(3, 8).side.eval(), torch.rand(2, 3, 16, 16)
    expected = torch.nn.functional.conv2d(features, skip[1].weight, stride=2)
    torch.testing.assert_close(skip[:2](features), expected)


def test_six_halvings_of_large_images():
    encoder, decoder = deep((3, 256, 256), 64)
    assert [block.main[0].out_channels for block in encoder[0]] == [32, 64, 128, 256, 256, 256]
    ups = [block.main[0] for block in decoder if hasattr(block, "main")]
    assert [(u.in_channels, u.out_channels) for u in ups] == [
        (256, 256), (256, 256), (256, 128), (128, 64), (64, 32), (32, 32)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "options"),
    [((1, 18, 18), {}), ((3, 36, 36), {}), ((3, 96, 96), {}), ((3, 512, 512), {}),
     ((1, 32, 32), {"network": "flat"}), ((1, 32, 32), {"map_mode": "none"})],
)  # fmt: skip
def test_shapes_and_options_that_do_not_fit(shape, options):
    with pytest.raises(ConfigError):
        Lsa(shape, **SMALL, **options)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    train, images, masks = planted(16, channels=1, kind="object", train=24, validation=8)
    torch.manual_seed(0)
    detector = Lsa((1, 16, 16), **SMALL)
    with torch.no_grad():
        before = detector.losses(images, *_outputs(detector, images))
    detector.fit(train, make_run(tmp_path_factory.mktemp("fit"), images_seen=800, learning_rate=2e-3))
    return detector.eval(), before, train, images, masks


def _outputs(detector, images):
    codes = detector.encoder(images)
    return detector.decoder(codes), codes, detector.estimator(codes)


def test_a_small_fit_lowers_both_terms_and_finds_the_planted_defect(fitted):
    detector, before, _, images, masks = fitted
    normal = images[~torch.from_numpy(masks).any(2).any(1)]
    with torch.no_grad():
        after = detector.losses(normal, *_outputs(detector, normal))
    assert after["error"] < 0.2 * before["error"]
    assert after["surprisal"] < 0.9 * before["surprisal"]
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert roc_auc_score(masks.ravel(), prediction.maps.ravel()) > 0.7
    assert roc_auc_score(masks.any((1, 2)), prediction.scores[""]) == 1


def test_novelty_spans_zero_to_two_on_validation_images(fitted):
    detector, _, train, *_ = fitted
    images = torch.from_numpy(train.validation).permute(0, 3, 1, 2).float() / 255
    scores = predict(detector, images).scores
    for name, limits in (("error", detector.error_range), ("surprisal", detector.surprisal_range)):
        torch.testing.assert_close(torch.stack([scores[name].min(), scores[name].max()]), limits)
        assert limits[0] < limits[1]
    assert scores[""].min() >= -1e-4
    assert scores[""].max() <= 2 + 1e-4
    assert scores[""].max() > 0.5


def test_loading_and_single_images_give_the_same(fitted, tmp_path):
    detector, _, _, images, _ = fitted
    whole = predict(detector, images)
    save_state(detector, tmp_path / "weights.safetensors")
    again = Lsa((1, 16, 16), **SMALL)
    load_state(again, tmp_path / "weights.safetensors")
    repeated = predict(again, images)
    assert torch.equal(repeated.maps, whole.maps)
    assert torch.equal(repeated.scores[""], whole.scores[""])
    single = predict(detector, images[3:4])
    torch.testing.assert_close(single.scores[""], whole.scores[""][3:4], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(single.maps, whole.maps[3:4], rtol=1e-4, atol=1e-5)


def test_occlusion_measures_the_drop_of_novelty(fitted):
    detector, _, train, images, _ = fitted
    mean = torch.from_numpy(train.images).float().mean(0).permute(2, 0, 1) / 255
    torch.testing.assert_close(detector.mean_image, mean)
    score = predict(detector, images[:2]).scores[""]
    with torch.no_grad():
        drops = detector.drops(images[:2], score)
    assert drops.shape == (2, 15, 15)
    hidden = images[:2].clone()
    hidden[:, :, 6:8, 4:6] = mean[:, 6:8, 4:6]
    torch.testing.assert_close(drops[:, 6, 4], score - predict(detector, hidden).scores[""], rtol=1e-3, atol=1e-4)
    detector.map_mode = "occlusion"
    torch.testing.assert_close(predict(detector, images[:2]).maps, detector.spread(drops))
    detector.map_mode = "residual"


@pytest.mark.parametrize("side", [32, 64])
def test_a_place_is_mapped_around_its_centre(side):
    detector, stride = Lsa((1, side, side), **SMALL), side // 16
    drops = torch.zeros(1, 15, 15)
    drops[0, 6, 4] = 1
    spread = detector.spread(drops)[0]
    assert spread.shape == (side, side)
    pixels = torch.arange(side) + 0.5
    assert (spread.sum(1) @ pixels / spread.sum()).item() == pytest.approx(7 * stride)
    assert (spread.sum(0) @ pixels / spread.sum()).item() == pytest.approx(5 * stride)
    assert spread.sum().item() == pytest.approx(stride**2)


def test_without_validation_images_there_is_no_score(tmp_path):
    train, _, _ = planted(16, channels=1)
    with pytest.raises(FitError, match="validation"):
        Lsa((1, 16, 16), **SMALL).fit(dataclasses.replace(train, validation=train.validation[:0]), make_run(tmp_path))
