import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn
from torch.distributions import Normal

from baselines.gamma_networks import BergmannVae
from baselines.gamma_vae import GammaVae, difference_map
from baselines.vae import Posterior, squared_error
from harness.errors import ConfigError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict


def plan(shape, latent):
    network, shapes = BergmannVae(shape, latent), []
    for layer in [*network.encoder, *network.decoder]:
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            layer.register_forward_hook(lambda m, _, out: shapes.append((m.kernel_size[0], *out.shape[1:3])))
    images = network(torch.rand(1, *shape))
    assert images.shape == (1, *shape)
    assert ((images >= 0) & (images <= 1)).all()
    assert isinstance(network.decoder[-1], nn.Sigmoid)
    assert not isinstance(network.decoder[-3], nn.Conv2d)
    return shapes


def test_the_published_plan():
    assert plan((3, 128, 128), 100) == [
        (4, 32, 64), (4, 32, 32), (3, 32, 32), (4, 64, 16), (3, 64, 16), (4, 128, 8), (3, 64, 8), (3, 32, 8),
        (8, 200, 1),
        (8, 32, 8), (3, 64, 8), (3, 128, 8), (4, 64, 16), (3, 64, 16), (4, 32, 32), (3, 32, 32), (4, 32, 64),
        (4, 3, 128),
    ]  # fmt: skip


def test_larger_and_smaller_plans():
    large = [layer.out_channels for layer in BergmannVae((3, 256, 256), 100).encoder if isinstance(layer, nn.Conv2d)]
    assert large == [32, 32, 32, 32, 64, 64, 128, 64, 32, 200]
    assert plan((1, 32, 32), 32)[:5] == [(4, 32, 16), (3, 32, 16), (4, 64, 8), (3, 64, 8), (8, 64, 1)]
    assert plan((1, 16, 16), 32)[:4] == [(3, 32, 16), (4, 64, 8), (3, 64, 8), (8, 64, 1)]


@pytest.mark.parametrize(
    "options", [{"energy": "free"}, {"gamma": "fixed"}, {"map_mode": "l1"}, {"score": "sum"}, {"patch": 24}]
)
def test_unknown_options(options):
    with pytest.raises(ConfigError):
        GammaVae((1, 32, 32), **options)
    with pytest.raises(ConfigError):
        GammaVae((1, 8, 8))


def test_the_objective_is_the_gaussian_likelihood_with_variance_gamma():
    detector = GammaVae((1, 16, 16), gamma="learned")
    detector.log_gamma.data.fill_(-1.5)
    images, means, posterior = torch.rand(3, 1, 16, 16), torch.rand(3, 1, 16, 16), Posterior.of(torch.randn(3, 8))
    negative = -Normal(means, math.exp(-0.75)).log_prob(images).sum((1, 2, 3)) - 128 * math.log(2 * math.pi)
    terms = detector.losses(images, means, posterior)
    torch.testing.assert_close(terms["loss"], (negative + posterior.divergence()).mean())
    (slope,) = torch.autograd.grad(terms["loss"], detector.log_gamma)
    error = 256 * terms["mean_squared_error"].item()
    assert slope.item() == pytest.approx(128 - error / (2 * math.exp(-1.5)), rel=1e-4)


def test_gamma_in_closed_form_is_where_the_likelihood_is_greatest():
    images, means, posterior = torch.rand(3, 1, 16, 16), torch.rand(3, 1, 16, 16), Posterior.of(torch.randn(3, 8))
    closed, learned = GammaVae((1, 16, 16)), GammaVae((1, 16, 16), gamma="learned")
    terms = closed.losses(images, means, posterior)
    torch.testing.assert_close(terms["gamma"], (images - means).square().mean())
    learned.log_gamma.data.copy_(closed.log_gamma)
    again = learned.losses(images, means, posterior)
    torch.testing.assert_close(again["loss"], terms["loss"])
    (slope,) = torch.autograd.grad(again["loss"], learned.log_gamma)
    assert abs(slope.item()) < 1e-3
    closed.losses(images, images, posterior)
    assert closed.gamma.item() == pytest.approx(math.exp(-8))


def test_a_learned_gamma_starts_from_the_data(tmp_path):
    train = planted(16, channels=1)[0]
    detector = GammaVae((1, 16, 16), gamma="learned", gamma_rate=0.0)
    detector.fit(train, make_run(tmp_path, images_seen=8))
    assert detector.gamma.item() == pytest.approx(np.var(train.images / 255), rel=1e-4)


@pytest.mark.parametrize("value", [-1e4, -8.0, 0.0, 3.0])
def test_gamma_is_positive(value):
    detector = GammaVae((1, 16, 16))
    detector.log_gamma.data.fill_(value)
    assert detector.gamma >= math.exp(-8)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    train, images, masks = planted(16, channels=1, kind="object", train=24, test=8)
    torch.manual_seed(0)
    detector = GammaVae((1, 16, 16))
    detector.fit(train, make_run(tmp_path_factory.mktemp("fit"), images_seen=960, learning_rate=3e-3))
    return detector.eval(), train, images, masks


def test_a_small_fit_learns_variance_and_stop(fitted):
    detector, train, _, _ = fitted
    images = torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        errors = squared_error(images, detector.network(images))
    torch.testing.assert_close(detector.stop_residual, errors.min())
    assert errors.mean() < 0.5 * squared_error(images, images.mean().expand_as(images)).mean()
    assert 0.2 < detector.gamma.item() / (errors.mean().item() / 256) < 5


def test_the_projection_finds_the_planted_defect_as_well_as_the_residual(fitted):
    detector, _, images, masks = fitted
    prediction = predict(detector, images)
    with torch.no_grad():
        plain = (images - detector.network(images)).abs()[:, 0]
    projected = roc_auc_score(masks.ravel(), prediction.maps.ravel())
    assert projected > 0.8
    assert projected >= roc_auc_score(masks.ravel(), plain.ravel()) - 0.02
    assert roc_auc_score(masks.any((1, 2)), prediction.scores) == 1


@pytest.mark.parametrize(("step", "energy"), [(0.5, "residual"), (1.0, "residual"), (1.0, "scaled")])
def test_steps_lower_the_energy(fitted, step, energy):
    detector, _, images, _ = fitted
    step *= 2 * detector.gamma.item() if energy == "scaled" else 1
    other = GammaVae((1, 16, 16), step=step, energy=energy, iterations=1).eval()
    other.load_state_dict(detector.state_dict())
    scale = 0.5 / detector.gamma if energy == "scaled" else 1
    current = images
    for _ in range(4):
        other.stop_residual.fill_(0)
        moved = other.energies(current, images)[0].detach()
        current = one_step(other, current, images)
        after, errors, residuals = other.energies(current, images)
        assert (after < moved).all()
    torch.testing.assert_close(errors, residuals.square().sum((1, 2, 3)))
    torch.testing.assert_close(after, scale * errors + 0.05 * (current - images).abs().sum((1, 2, 3)))
    assert ((current >= 0) & (current <= 1)).all()


def one_step(detector, current, origins):
    """X - α ∇E ⊙ (x - f)², by its definition."""
    leaf = current.clone().requires_grad_()
    energy, _, _ = detector.energies(leaf, origins)
    energy.sum().backward()
    with torch.no_grad():
        return (leaf - detector.step * leaf.grad * (leaf - detector.network(leaf)).square()).clamp(0, 1)


def test_the_projection_is_that_many_steps(fitted):
    detector, _, images, _ = fitted
    other = GammaVae((1, 16, 16), iterations=3).eval()
    other.load_state_dict(detector.state_dict())
    other.stop_residual.fill_(0)
    expected = images
    for _ in range(3):
        expected = one_step(other, expected, images)
    torch.testing.assert_close(other.project(images), expected)


def test_the_gradient_goes_through_the_network_unless_detached(fitted):
    detector, _, images, _ = fitted
    leaf = images[1:2].clone().requires_grad_()
    (whole,) = torch.autograd.grad(detector.energies(leaf, images[1:2])[1].sum(), leaf)
    direction = whole / whole.norm()
    with torch.no_grad():
        ends = [detector.energies(leaf + sign * 1e-2 * direction, leaf)[1].item() for sign in (1, -1)]
    assert whole.norm().item() == pytest.approx((ends[0] - ends[1]) / 2e-2, rel=0.01)
    detector.detach = True
    (partial,) = torch.autograd.grad(detector.energies(leaf, images[1:2])[1].sum(), leaf)
    detector.detach = False
    torch.testing.assert_close(partial, 2 * (leaf - detector.network(leaf)).detach())
    assert not torch.allclose(partial, whole, rtol=0.01)


def test_each_image_stops_alone(fitted):
    detector, _, images, _ = fitted
    with torch.no_grad():
        errors = squared_error(images, detector.network(images))
    other = GammaVae((1, 16, 16)).eval()
    other.load_state_dict(detector.state_dict())
    other.stop_residual.fill_(errors.median())
    moved = (other.project(images) != images).flatten(1).any(1)
    assert torch.equal(moved, errors > errors.median())
    projected = other.project(images)
    with torch.no_grad():
        ends = squared_error(projected, other.network(projected))
    assert (ends[moved] < errors[moved]).all()
    other.stop_residual.fill_(errors.max())
    assert torch.equal(other.project(images), images)


def test_single_images_loading_and_context_change_nothing(fitted, tmp_path):
    detector, _, images, _ = fitted
    whole = predict(detector, images)
    single = torch.cat([predict(detector, image[None]).maps for image in images[:3]])
    torch.testing.assert_close(single, whole.maps[:3], rtol=1e-4, atol=1e-6)
    save_state(detector, tmp_path / "weights.safetensors")
    again = GammaVae((1, 16, 16))
    load_state(again, tmp_path / "weights.safetensors")
    again.eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        repeated = again.predict(images)
    assert torch.equal(repeated.maps, whole.maps)
    assert torch.equal(repeated.scores, whole.scores)
    assert not any(p.grad is not None for p in again.parameters())


def test_patches_are_learnt_and_their_maps_averaged(tmp_path):
    train, images, masks = planted(32, channels=1, train=8)
    torch.manual_seed(0)
    detector = GammaVae((1, 32, 32), patch=16, stride=8, iterations=3, score="maximum")
    detector.fit(train, make_run(tmp_path, images_seen=32))
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    corner = detector.changes(images[:, :, :16, :16])
    torch.testing.assert_close(prediction.maps[:, :8, :8], corner[:, :8, :8])
    assert detector.stop_residual > 0


def test_the_maps():
    images, others = torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(
        difference_map(images, others, "l2")[0, 3, 4], (images - others)[0, :, 3, 4].square().mean()
    )
    similarity = difference_map(images, others, "dssim")
    assert similarity.shape == (2, 32, 32)
    assert (similarity > 0.2).any()
    assert difference_map(images, images, "dssim").abs().max() < 1e-5
