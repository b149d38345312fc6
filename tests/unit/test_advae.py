import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch.distributions import Normal

from baselines.advae import Advae
from baselines.vae import Posterior, broad_maximum
from harness.errors import ConfigError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

SHAPE = (1, 16, 16)


def test_the_small_network():
    vae, images = Advae((1, 32, 32)).vae, torch.rand(1, 1, 32, 32)
    features = vae.features(images)
    assert features.shape == (1, 128, 16 // 2, 16 // 2)
    assert features.min() < 0, "the target is the convolution's output, before its ReLU"
    assert vae.encode(images).mean.shape == (1, 32)
    assert vae.decoder(torch.rand(1, 32)).shape == images.shape
    assert Advae((1, 32, 32), layer=1).vae.features(images).shape == (1, 64, 16, 16)


@pytest.mark.parametrize(("stem", "side"), [("reproduction", 16), ("torchvision", 8)])
def test_the_large_network(stem, side):
    torch.manual_seed(0)
    vae, images = Advae((3, 64, 64), stem=stem).vae, torch.rand(2, 3, 64, 64)
    features = vae.features(images)
    assert features.shape == (2, 128, side, side)
    assert vae.head(features).shape == (2, 64)
    assert vae.decoder(torch.rand(2, 32)).shape == images.shape
    assert vae.features[0](torch.full((1, 3, 1, 1), 0.4305))[0, 0] == 0


def test_the_decoder_for_large_images():
    decoder = Advae((3, 256, 256)).vae.decoder
    widths = [layer.out_channels for layer in decoder if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert widths == [512, 256, 128, 64, 32, 3]
    assert Advae((1, 64, 64)).vae.features(torch.rand(2, 1, 64, 64)).shape[1] == 128


@pytest.mark.parametrize(
    "options",
    [{"network": "vgg"}, {"layer": 3}, {"layer": 0}, {"map_mode": "sum"}, {"latent": "draw"}, {"score": "mean"},
     {"network": "resnet", "stem": "none"}],
)  # fmt: skip
def test_unknown_options(options):
    with pytest.raises(ConfigError):
        Advae(SHAPE, **options)


def horizons():
    """Return white skies over black ground as normal images; every second test image is turned by a right angle."""
    rows = np.arange(16)[:, None] < np.arange(3, 14)[:, None, None]
    normal = np.broadcast_to(rows, (11, 16, 16))
    test = np.stack([image.T if number % 2 else image for number, image in enumerate(normal)])
    masks = normal != test
    train, _, _ = planted(16, channels=1)
    images = torch.from_numpy(test[:, None].astype(np.float32))
    normal = normal[..., None].astype(np.uint8) * 255
    return dataclasses.replace(train, images=normal, labels=np.zeros(11, np.int64)), images, masks


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    train, images, masks = horizons()
    torch.manual_seed(0)
    detector = Advae(SHAPE, latent_size=6)
    with torch.no_grad():
        before = torch.nn.functional.binary_cross_entropy_with_logits(reconstruct(detector, images), images)
    detector.fit(train, make_run(tmp_path_factory.mktemp("fit"), images_seen=800, learning_rate=1e-3))
    return detector.eval(), before, train, images, masks


def reconstruct(detector, images):
    return detector.vae.decoder(detector.vae.encode(images).mean)


def test_a_small_fit_learns_to_reconstruct(fitted):
    detector, before, train, _, _ = fitted
    images = torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        logits = reconstruct(detector, images)
    assert torch.nn.functional.binary_cross_entropy_with_logits(logits, images) < before
    assert (logits.sigmoid() - images).square().mean() < 0.6 * images.var()


def test_the_normal_statistics_are_those_of_the_aggregated_posterior(fitted):
    detector, _, train, *_ = fitted
    images = torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255
    torch.manual_seed(0)
    with torch.no_grad():
        posterior = detector.vae.encode(images.repeat(400, 1, 1, 1))
    draws = posterior.sample()
    torch.testing.assert_close(detector.normal_mean, draws.mean(0), atol=0.05, rtol=0)
    torch.testing.assert_close(detector.normal_variance, draws.var(0), atol=0.05, rtol=0.05)


def test_the_scores_and_what_was_never_seen(fitted):
    detector, _, _, images, masks = fitted
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert (prediction.maps >= 0).all()
    torch.testing.assert_close(prediction.scores["maximum"], broad_maximum(prediction.maps))
    with torch.no_grad():
        posterior = detector.vae.encode(images)
        logits = detector.vae.decoder(posterior.mean)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="none").sum((1, 2, 3))
    torch.testing.assert_close(prediction.scores["nelbo"], entropy + posterior.divergence())
    assert roc_auc_score(masks.any((1, 2)), prediction.scores["nelbo"]) == 1
    assert torch.equal(prediction.scores[""], prediction.scores["nelbo"])
    assert Advae((3, 64, 64)).score == "maximum"


def grad_cam(detector, image, values):
    """Grad-CAM of one image by hooks and backward: Σ_k mean(∂value/∂A_k) A_k, each term alone (K,h,w)."""
    kept = {}
    target = detector.vae.features[-1]
    hook = target.register_forward_hook(lambda _, __, out: kept.update(maps=out))
    posterior = detector.vae.encode(image[None])
    hook.remove()
    kept["maps"].retain_grad()
    values(posterior).backward()
    detector.zero_grad()
    weights = kept["maps"].grad[0].mean((1, 2))
    return (weights[:, None, None] * kept["maps"][0]).detach()


def attention(detector, images, **changes):
    saved = {name: getattr(detector, name) for name in changes}
    for name, value in changes.items():
        setattr(detector, name, value)
    maps, _ = detector.attention(images)
    for name, value in saved.items():
        setattr(detector, name, value)
    return maps.detach()


def test_maps_equal_grad_cam_of_each_image_alone(fitted):
    detector, _, _, images, _ = fitted
    terms = torch.stack([grad_cam(detector, image, lambda p: p.mean.sum()) for image in images])
    torch.testing.assert_close(attention(detector, images), terms.sum(1).abs())
    torch.testing.assert_close(attention(detector, images, map_mode="team"), terms.abs().mean(1))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_paper_s_maps_are_rectified_one_by_one(fitted, sign):
    detector, _, _, images, _ = fitted
    expected = torch.stack([
        sum(grad_cam(detector, image, lambda p, i=i: sign * p.mean[0, i]).sum(0).relu() for i in range(6)) / 6
        for image in images
    ])  # fmt: skip
    torch.testing.assert_close(attention(detector, images, map_mode="paper", sign=sign), expected)


def test_draws_from_the_difference_distribution(fitted):
    detector, _, _, images, _ = fitted
    with torch.no_grad():
        posterior = detector.vae.encode(images[:1])
    detector.latent, noise = "difference", detector.noise
    detector.noise = torch.randn(20000, 6)
    draws = detector.codes(posterior)[:, 0]
    expected = Normal(detector.normal_mean - posterior.mean[0], detector.normal_variance.sqrt())
    spread = (detector.normal_variance + posterior.log_variance[0].exp()).sqrt()
    torch.testing.assert_close(draws.mean(0), expected.mean, atol=0.05, rtol=0)
    torch.testing.assert_close(draws.std(0), spread, atol=0, rtol=0.03)
    distance = ((expected.mean / spread) ** 2).sum()
    torch.testing.assert_close(detector.difference(posterior)[0], distance)
    # the distribution's mean only turns the gradient's sign
    detector.noise = torch.zeros(2, 6)
    moved = attention(detector, images)
    detector.noise = torch.ones(1, 6)
    noisy = attention(detector, images)
    detector.latent, detector.noise = "mean", noise
    torch.testing.assert_close(moved, attention(detector, images))
    assert not torch.allclose(noisy, moved, rtol=1e-3)


@pytest.mark.parametrize("latent", ["mean", "difference"])
def test_a_map_depends_on_its_image_alone(fitted, tmp_path, latent):
    detector, _, _, images, _ = fitted
    detector.latent = latent
    whole = predict(detector, images)
    single = predict(detector, images[3:4], seed=5)
    torch.testing.assert_close(single.maps, whole.maps[3:4])
    torch.testing.assert_close(predict(detector, images.flip(0)).maps.flip(0), whole.maps)
    save_state(detector, tmp_path / "weights.safetensors")
    again = Advae(SHAPE, latent_size=6, latent=latent)
    load_state(again, tmp_path / "weights.safetensors")
    repeated = predict(again, images)
    assert torch.equal(repeated.maps, whole.maps)
    assert torch.equal(repeated.scores["difference"], whole.scores["difference"])
    detector.latent = "mean"


def test_batch_normalisation_does_not_tie_images_together():
    torch.manual_seed(0)
    detector, images = Advae((3, 64, 64)), torch.rand(3, 3, 64, 64)
    whole = predict(detector, images)
    torch.testing.assert_close(predict(detector, images[1:2]).maps, whole.maps[1:2], rtol=1e-3, atol=1e-6)
    assert whole.maps.shape == (3, 64, 64)


def test_posteriors_are_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert isinstance(Advae(SHAPE).vae.encode(torch.rand(1, *SHAPE)), Posterior)
        assert Advae(SHAPE).vae.encode(torch.rand(1, *SHAPE)).mean.dtype == torch.float32
