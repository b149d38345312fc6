import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from baselines.beta_vae import BetaVae
from baselines.inputs import halvings, image_batches
from baselines.vae import Posterior, broad_maximum, gradients
from harness.errors import ConfigError
from harness.training.loop import Batch
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict


def test_the_divergence_equals_that_of_torch():
    posterior = Posterior.of(torch.randn(5, 14))
    gaussian = Normal(posterior.mean, (0.5 * posterior.log_variance).exp())
    expected = kl_divergence(gaussian, Normal(torch.zeros(5, 7), torch.ones(5, 7))).sum(1)
    torch.testing.assert_close(posterior.divergence(), expected)


def test_samples_have_the_posterior_s_moments():
    torch.manual_seed(0)
    posterior = Posterior(torch.full((20000, 1), 3.0), torch.full((20000, 1), -1.0))
    sample = posterior.sample()
    assert sample.mean() == pytest.approx(3, abs=0.02)
    assert sample.var() == pytest.approx(0.3679, abs=0.02)


def test_the_published_plan():
    detector = BetaVae((3, 32, 32))
    shapes = []
    for layer in [*detector.encoder, *detector.decoder]:
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    detector.decoder(detector.encoder(torch.rand(1, 3, 32, 32))[:, :10])
    assert shapes == [(32, 16, 16), (32, 8, 8), (32, 4, 4), (256,), (256,), (20,),
                      (256,), (256,), (512,), (32, 8, 8), (32, 16, 16), (3, 32, 32)]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 16, 16), (3, 64, 64), (3, 128, 128)])
def test_other_sizes_repeat_the_outer_layers(shape):
    images = torch.rand(2, *shape)
    prediction = predict(BetaVae(shape), images)
    assert prediction.maps.shape == (2, *shape[1:])
    assert all(torch.isfinite(scores).all() for scores in prediction.scores.values())


@pytest.mark.parametrize(
    ("shape", "options"),
    [((1, 28, 28), {}), ((1, 32, 16), {}), ((1, 32, 32), {"score": "mse"}), ((1, 32, 32), {"likelihood": "laplace"})],
)
def test_shapes_and_options_that_do_not_fit(shape, options):
    with pytest.raises(ConfigError):
        BetaVae(shape, **options)


def test_halvings_are_counted():
    assert [halvings((1, side, side), 4) for side in (8, 16, 256)] == [1, 2, 6]


def test_the_reconstruction_terms():
    images, logits = torch.rand(3, 1, 16, 16), torch.randn(3, 1, 16, 16)
    bernoulli = BetaVae((1, 16, 16)).reconstruction(images, logits)
    expected = -Bernoulli(logits=logits, validate_args=False).log_prob(images).sum((1, 2, 3))
    torch.testing.assert_close(bernoulli, expected)
    gaussian = BetaVae((1, 16, 16), likelihood="gaussian", rec_scale=10).reconstruction(images, logits)
    torch.testing.assert_close(gaussian, 10 * (images - logits.sigmoid()).square().sum((1, 2, 3)))


def test_the_objective_weighs_the_divergence(tmp_path):
    losses = []
    for beta in (0.0, 4.0):
        torch.manual_seed(0)
        detector, run = BetaVae((1, 16, 16), beta=beta, warm_up=0.5), make_run(tmp_path, images_seen=8)
        run.loop = lambda _, __, phases, losses=losses: losses.append(phases[0].loss)
        detector.fit(planted(16, channels=1)[0], run)
    for fraction, share in ((0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.9, 1.0)):
        batch = Batch(torch.rand(4, 1, 16, 16), torch.zeros(4), 0, 0, fraction)
        terms = []
        for loss in losses:
            torch.manual_seed(1)
            terms.append(loss(batch))
        assert terms[0]["loss"] == terms[0]["reconstruction"]
        weighted = 4 * share * terms[1]["divergence"]
        torch.testing.assert_close(terms[1]["loss"], terms[1]["reconstruction"] + weighted)
        assert terms[1]["divergence"] > 0


def test_a_collapsed_posterior_is_a_flaw(tmp_path):
    train = planted(16, channels=1)[0]
    images = torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255
    flaws = []
    for beta in (1e4, 0.01):
        torch.manual_seed(0)
        detector = BetaVae((1, 16, 16), beta=beta, warm_up=0.0)
        detector.fit(train, make_run(tmp_path / str(beta), images_seen=1600, learning_rate=3e-3))
        with torch.no_grad():
            nats = Posterior.of(detector.encoder(images)).divergence().mean() / 10
        assert detector.information(train.images, torch.device("cpu")) == pytest.approx(nats.item(), rel=1e-4)
        flaws.append(detector.flaw)
    assert flaws[0].startswith("posterior collapsed: ")
    assert flaws[1] is None


def test_the_scores():
    detector, images = BetaVae((1, 16, 16), beta=2.0, score="nelbo"), torch.rand(3, 1, 16, 16)
    images[2] = 0
    prediction = predict(detector, images)
    with torch.no_grad():
        posterior = Posterior.of(detector.encoder(images))
        logits = detector.decoder(posterior.mean)
    error = (images - logits.sigmoid()).square().sum((1, 2, 3))
    torch.testing.assert_close(prediction.scores["sse"], error)
    torch.testing.assert_close(prediction.scores["nse"][:2], (error / images.square().sum((1, 2, 3)))[:2])
    assert torch.isfinite(prediction.scores["nse"][2])
    nelbo = detector.reconstruction(images, logits) + 2 * posterior.divergence()
    torch.testing.assert_close(prediction.scores["nelbo"], nelbo)
    assert torch.equal(prediction.scores[""], prediction.scores["nelbo"])
    torch.testing.assert_close(prediction.maps.sum((1, 2)), error)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    train, images, masks = planted(16, channels=1, kind="object", train=24)
    torch.manual_seed(0)
    detector = BetaVae((1, 16, 16), beta=0.1)
    detector.fit(train, make_run(tmp_path_factory.mktemp("fit"), images_seen=1200, learning_rate=4e-3))
    return detector, train, images, masks


def test_a_small_fit_finds_the_planted_defect(fitted):
    detector, train, images, masks = fitted
    prediction = predict(detector, images)
    for name in ("sse", "nse", "nelbo"):
        assert roc_auc_score(masks.any((1, 2)), prediction.scores[name]) == 1
    assert roc_auc_score(masks.ravel(), prediction.maps.ravel()) > 0.9
    mean = torch.from_numpy(train.images).float().mean(0).permute(2, 0, 1) / 255
    normal = images[~torch.from_numpy(masks.any((1, 2)))]
    constant = (normal - mean.mean()).square().sum((1, 2, 3))
    assert (prediction.scores["sse"][::2] < 0.5 * constant).all()


def test_loading_and_single_images_give_the_same(fitted, tmp_path):
    detector, _, images, _ = fitted
    whole = predict(detector, images)
    save_state(detector, tmp_path / "weights.safetensors")
    again = BetaVae((1, 16, 16), beta=0.1)
    load_state(again, tmp_path / "weights.safetensors")
    repeated = predict(again, images)
    assert torch.equal(repeated.maps, whole.maps)
    assert torch.equal(repeated.scores[""], whole.scores[""])
    torch.testing.assert_close(predict(detector, images[3:4]).scores[""], whole.scores[""][3:4])


def test_the_broad_maximum_takes_windows_of_21_pixels_at_256():
    maps = torch.zeros(1, 256, 256)
    maps[0, 100:121, 40:61] = 1
    assert broad_maximum(maps) == 1
    maps[0, 110, 50] = 0
    assert broad_maximum(maps).item() == pytest.approx(440 / 441)
    small = torch.zeros(1, 32, 32)
    small[0, :2, :2] = 9  # a corner's window holds four pixels of the image
    assert broad_maximum(small) == 9


def test_gradients_are_allowed_in_every_context():
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        images = torch.rand(2, 4)
        with gradients(images.device):
            leaf = images.clone().requires_grad_()
            product = leaf @ torch.ones(4, 4)
            (gradient,) = torch.autograd.grad(product.sum(), leaf)
    assert product.dtype == torch.float32
    assert torch.equal(gradient, torch.full((2, 4), 4.0))


def test_batches_cover_all_images_once():
    images = planted(16)[0].images
    batches = list(image_batches(images, torch.device("cpu"), pixels=5 * 16 * 16 + 1))
    assert [len(batch) for batch in batches] == [5, 5, 2]
    whole = torch.cat(batches)
    assert torch.equal((whole * 255).round().byte(), torch.from_numpy(images).permute(0, 3, 1, 2))
