import math

import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

from cavga import losses


def test_the_weights_are_the_papers() -> None:
    w = losses.Weights()
    assert (w.r, w.adv, w.ae, w.c, w.cga) == (1, 1, 0.01, 0.001, 0.01)


def test_attention_expansion_by_hand() -> None:
    maps = torch.tensor([[[1.0, 0.5], [0.25, 0.25]], [[0.0, 0.0], [0.0, 1.0]]])
    # (1/4)(0 + .5 + .75 + .75) = 0.5 and (1/4)(1 + 1 + 1 + 0) = 0.75
    assert losses.attention_expansion(maps).item() == pytest.approx((0.5 + 0.75) / 2)


def test_complementary_guidance_counts_correctly_classified_normal_images_alone() -> None:
    normal = torch.tensor([[[0.8, 0.6]], [[0.1, 0.1]], [[0.2, 0.2]], [[0.3, 0.3]]])
    anomalous = torch.tensor([[[0.1, 0.3]], [[0.9, 0.9]], [[0.7, 0.7]], [[0.4, 0.4]]])
    scores = torch.tensor([[2.0, 1.0], [1.0, 2.0], [2.0, 1.0], [0.0, 3.0]])
    labels = torch.tensor(
        [0, 0, 1, 1]
    )  # right normal; normal called anomalous; anomalous called normal; right anomalous
    # first image alone: ((1 - .8 + .1) + (1 - .6 + .3)) / 2 = 0.5, and N = 4
    value = losses.complementary_guidance(normal, anomalous, scores, labels)
    assert value.item() == pytest.approx(0.5 / 4)


def test_kl_agrees_with_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mu, logvar = torch.randn(3, 4, 2, 2, generator=generator), torch.randn(3, 4, 2, 2, generator=generator)
    reference = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(torch.zeros(()), torch.ones(())))
    torch.testing.assert_close(losses.kl(mu, logvar), reference.sum((1, 2, 3)))


def test_reconstruction_is_binary_cross_entropy_summed_over_an_image() -> None:
    logits, images = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    hat = torch.sigmoid(logits)
    by_hand = -(images * hat.log() + (1 - images) * (1 - hat).log()).sum((1, 2, 3))
    torch.testing.assert_close(losses.reconstruction(logits, images), by_hand)
    torch.testing.assert_close(losses.reconstruction(logits, images, "l2"), ((hat - images) ** 2).sum((1, 2, 3)))
    torch.testing.assert_close(losses.reconstruction(logits, images, "l1"), (hat - images).abs().sum((1, 2, 3)))


def test_adversarial_is_the_mean_logarithm_over_the_map() -> None:
    real, fake = torch.randn(2, 5, 3, 3), torch.randn(2, 5, 3, 3)
    by_hand = -(torch.sigmoid(real).log() + (1 - torch.sigmoid(fake)).log()).mean()
    torch.testing.assert_close(losses.adversarial(real, fake), by_hand)
    torch.testing.assert_close(losses.fool(fake), -torch.sigmoid(fake).log().mean())
    torch.testing.assert_close(losses.fool(fake, "minimax"), (1 - torch.sigmoid(fake)).log().mean())


@pytest.mark.parametrize("extreme", [-1e4, 1e4])
def test_no_term_overflows_where_a_network_is_certain(extreme: float) -> None:
    certain = torch.full((1, 2, 2, 2), extreme, requires_grad=True)
    images = torch.full((1, 2, 2, 2), 0.5)
    total = losses.adversarial(certain, certain) + losses.fool(certain) + losses.reconstruction(certain, images).sum()
    total.backward()
    assert math.isfinite(total.item())
    assert certain.grad is not None
    assert torch.isfinite(certain.grad).all()


def test_classification_is_binary_cross_entropy_of_the_softmax() -> None:
    scores, labels = torch.randn(6, 2), torch.tensor([0, 1, 0, 0, 1, 1])
    reference = F.binary_cross_entropy(scores.softmax(1)[:, 1], labels.float())
    torch.testing.assert_close(losses.classification(scores, labels), reference)


def test_terms_are_float32_whatever_the_networks_compute_in() -> None:
    t = torch.zeros(1, 2, 2, 2, dtype=torch.bfloat16)
    for value in (losses.reconstruction(t, t), losses.kl(t, t), losses.adversarial(t, t), losses.fool(t)):
        assert value.dtype == torch.float32
