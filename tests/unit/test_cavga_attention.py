import math

import pytest
import torch
from torch import Tensor

from cavga.attention import SCALARS, Attention, grad_cam
from cavga.detector import Cavga
from cavga.model import Code
from cavga.normalise import NORMALISATIONS, normalise


def encoded(detector: Cavga, images: Tensor) -> Code:
    return detector.model.code(detector.model.encoder(images).detach().requires_grad_())


def slow_grad_cam(detector: Cavga, image: Tensor) -> Tensor:
    """Grad-CAM of one image, written from Selvaraju et al. 2017 with loops and the score's own gradient."""
    features = detector.model.encoder(image[None]).detach().requires_grad_()
    score = torch.zeros(())
    for entry in detector.model.latent(features)[0].flatten():
        score = score + entry
    score.backward()
    assert features.grad is not None
    height, width = features.shape[2:]
    raw = torch.zeros(height, width)
    for k in range(features.shape[1]):
        alpha = sum(features.grad[0, k, i, j] for i in range(height) for j in range(width)) / (height * width)
        raw += alpha * features[0, k].detach()
    return raw


@pytest.mark.parametrize("latent", ["conv", "flat"])
@pytest.mark.parametrize("architecture", ["R", "D"])
def test_batched_grad_cam_equals_the_slow_one_image_by_image(architecture: str, latent: str) -> None:
    torch.manual_seed(1)
    detector = Cavga((3, 16, 16), depth=2, architecture=architecture, latent=latent, flat_size=5).eval()
    images = torch.rand(3, 3, 16, 16)
    code = encoded(detector, images)
    raw = grad_cam(code.mu.flatten(1).sum(1), code.features)
    for image, found in zip(images, raw, strict=True):
        torch.testing.assert_close(found, slow_grad_cam(detector, image), rtol=1e-4, atol=1e-5)


def test_with_a_convolutional_latent_the_raw_map_is_the_channel_sum_of_mu_without_its_bias() -> None:
    detector = Cavga((3, 16, 16), depth=2).eval()
    code = encoded(detector, torch.rand(2, 3, 16, 16))
    raw = grad_cam(code.mu.flatten(1).sum(1), code.features)
    torch.testing.assert_close(raw, code.mu.sum(1) - detector.model.latent.mu.bias.sum(), rtol=1e-4, atol=1e-4)


def test_the_gradient_through_the_map_agrees_with_finite_differences() -> None:
    torch.manual_seed(0)
    head = torch.nn.Conv2d(3, 4, 1).double()

    def maps(features: Tensor) -> Tensor:
        score = head(features).square().flatten(1).sum(1)
        gradient = torch.autograd.grad(score.sum(), features, create_graph=True)[0]
        return (gradient.mean((2, 3), keepdim=True) * features).sum(1)

    features = torch.rand(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(maps, (features,))
    found = grad_cam(head(features).square().flatten(1).sum(1), features, create_graph=True)
    (mine,) = torch.autograd.grad(found.square().sum(), head.weight, retain_graph=True)
    (reference,) = torch.autograd.grad(maps(features).square().sum(), head.weight)
    torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)


def test_relu_keeps_what_raises_the_score() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 1.0]]]], requires_grad=True)
    score = (features[:, 0] - features[:, 1]).flatten(1).sum(1)
    torch.testing.assert_close(grad_cam(score, features), torch.tensor([[[-2.0, 1.0]]]))
    torch.testing.assert_close(grad_cam(score, features, relu=True), torch.tensor([[[0.0, 1.0]]]))


@pytest.mark.parametrize("scalar", sorted(SCALARS))
def test_each_scalar_differentiates_what_its_name_says(scalar: str) -> None:
    torch.manual_seed(0)
    code = encoded(Cavga((3, 16, 16), depth=2).train(), torch.rand(2, 3, 16, 16))
    by_hand = {
        "sum_mu": code.mu.sum(), "sum_z": code.z.sum(), "squared_mu": (code.mu**2).sum() / 2,
        "sum_logvar": code.logvar.sum(),
    }  # fmt: skip
    (gradient,) = torch.autograd.grad(by_hand[scalar], code.features, retain_graph=True)
    raw = torch.einsum("nk,nkij->nij", gradient.mean((2, 3)), code.features)
    attention = Attention(scalar=scalar, normalisation="sigmoid")
    found = attention.raw_of_latent(code, lambda: torch.empty(0))
    torch.testing.assert_close(found, raw, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(attention.normalise(found), torch.sigmoid(raw), rtol=1e-4, atol=1e-5)


def test_normalisations_by_hand() -> None:
    raw, e = torch.tensor([[[-2.0, 0.0], [2.0, 4.0]], [[10.0, 10.0], [10.0, 30.0]]]), math.e
    by_hand = {
        "min_max": [[[0, 1 / 3], [2 / 3, 1]], [[0, 0], [0, 1]]],
        "share_of_max": [[[0, 0], [0.5, 1]], [[1 / 3, 1 / 3], [1 / 3, 1]]],
        "sigmoid": [[[1 / (1 + e**2), 0.5], [1 / (1 + e**-2), 1 / (1 + e**-4)]], [[1, 1], [1, 1]]],
    }
    for how, expected in by_hand.items():
        torch.testing.assert_close(normalise(raw, how), torch.tensor(expected), rtol=1e-3, atol=1e-4)
    # of the second map the mean is 15 and the deviation √75, so its values are -1/√3 and √3
    standard = torch.tensor([-(3**-0.5)] * 3 + [3**0.5]).view(2, 2)
    torch.testing.assert_close(normalise(raw, "standardised_sigmoid")[1], torch.sigmoid(standard))


@pytest.mark.parametrize("how", sorted(NORMALISATIONS))
def test_every_normalisation_gives_values_in_the_unit_interval_and_finite_gradients(how: str) -> None:
    for raw in (
        torch.randn(2, 3, 3) * 50,
        torch.randn(2, 3, 3).relu(),
        torch.zeros(2, 3, 3),
        torch.full((1, 2, 2), -7.0),
    ):
        raw = raw.clone().requires_grad_()
        attention = normalise(raw, how)
        assert ((attention >= 0) & (attention <= 1)).all()
        attention.sum().backward()
        assert raw.grad is not None
        assert torch.isfinite(raw.grad).all()


def test_a_plain_sigmoid_after_relu_never_marks_anything() -> None:
    attention = normalise(torch.randn(4, 8, 8).relu(), "sigmoid")
    assert (1 - attention).max() <= 0.5


@pytest.mark.parametrize("offset", [-300.0, 0.0, 300.0])
def test_the_default_marks_a_planted_defect_whatever_the_raw_maps_size_and_sign(offset: float) -> None:
    defect = torch.zeros(2, 8, 8, dtype=torch.bool)
    defect[0, 1:4, 2:5], defect[1, 5:7, 5:8] = True, True
    features = torch.stack([torch.where(defect, 1.0, 4.0), torch.ones(2, 8, 8)], 1).requires_grad_()
    score = (features * torch.tensor([1.0, offset]).view(1, 2, 1, 1)).flatten(1).sum(1)
    raw = grad_cam(score, features)
    torch.testing.assert_close(raw.detach(), torch.where(defect, 1.0, 4.0) + offset)
    assert torch.equal(1 - Attention().normalise(raw) > 0.5, defect)
