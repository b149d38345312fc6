"""CapsNet: routing, margin loss, and a fit whose number of classes is only known from its labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from baselines.capsnet import CapsNetDetector, lengths, margin_loss, route, squash
from harness.errors import ConfigError
from harness.training.state import load_state, save_state
from tests.digits import digits
from tests.fits import make_run, predict

SMALL = {"channels": 16, "types": 2, "hidden": (32, 64)}


def test_squash_keeps_directions_and_lengths_below_one() -> None:
    capsules = torch.randn(50, 8) * torch.logspace(-3, 2, 50)[:, None]
    squashed = squash(capsules)
    norms = squashed.norm(dim=1)
    assert ((norms > 0) & (norms < 1)).all()
    torch.testing.assert_close(norms, capsules.norm(dim=1) ** 2 / (1 + capsules.norm(dim=1) ** 2), rtol=1e-3, atol=1e-6)
    assert torch.cosine_similarity(squashed, capsules).min() > 0.999


def test_lengths_and_squash_have_finite_gradients_at_zero() -> None:
    capsules = torch.zeros(3, 8, requires_grad=True)
    lengths(squash(capsules)).sum().backward()
    assert capsules.grad is not None
    assert torch.isfinite(capsules.grad).all()


def test_couplings_sum_to_one_over_the_outputs() -> None:
    votes = torch.randn(4, 5, 30, 16)
    capsules, couplings = route(votes, 3)
    assert capsules.shape == (4, 5, 16)
    torch.testing.assert_close(couplings.sum(1), torch.ones(4, 30))
    assert not torch.allclose(couplings.sum(2), torch.full((4, 5), 6.0))
    norms = lengths(capsules)
    assert ((norms > 0) & (norms < 1)).all()


def test_routing_equals_loops_over_its_definition() -> None:
    votes = torch.randn(1, 3, 6, 4)
    logits = torch.zeros(6, 3)
    for iteration in range(3):
        couplings = torch.stack([row.softmax(0) for row in logits])
        capsules = torch.stack([squash(sum(couplings[i, j] * votes[0, j, i] for i in range(6))) for j in range(3)])
        if iteration < 2:
            agreement = [[votes[0, j, i] @ capsules[j] for j in range(3)] for i in range(6)]
            logits = logits + torch.tensor(agreement)
    torch.testing.assert_close(route(votes, 3)[0][0], capsules)


def test_routing_sends_an_input_to_the_output_that_agrees() -> None:
    direction = torch.eye(16)[0]
    votes = torch.randn(1, 2, 20, 16) * 0.1
    votes[0, 0] += 3 * direction
    _, couplings = route(votes, 3)
    assert (couplings[0, 0] > 0.9).all()


def test_margin_loss_by_hand() -> None:
    presence = torch.tensor([[0.5, 0.3], [0.95, 0.05]])
    expected = ((0.9 - 0.5) ** 2 + 0.5 * (0.3 - 0.1) ** 2 + 0.0) / 2
    assert margin_loss(presence, torch.tensor([0, 0])).item() == pytest.approx(expected)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> CapsNetDetector:
    torch.manual_seed(0)
    detector = CapsNetDetector((1, 16, 16), **SMALL)
    run = make_run(tmp_path_factory.mktemp("fit"), batch_size=32, images_seen=1600, learning_rate=2e-3)
    detector.fit(digits([0, 1, 4])[0], run)
    return detector.eval()


def test_learns_classes_with_gaps(fitted: CapsNetDetector) -> None:
    _, test, labels = digits([0, 1, 4])
    normal = np.isin(labels, [0, 1, 4])
    with torch.no_grad():
        predicted = lengths(fitted._capsules(test[normal])).argmax(1).numpy()
    assert fitted.capsules.classes == 3
    assert (np.array([0, 1, 4])[predicted] == labels[normal]).mean() > 0.95
    scores = predict(fitted, test).scores
    assert ((scores["pp"] > -1) & (scores["pp"] < 0)).all()
    assert roc_auc_score(~normal, scores["pp"]) > 0.8
    assert roc_auc_score(~normal, scores["re"]) > 0.7


def test_loads_into_a_fresh_detector_that_knows_no_classes(fitted: CapsNetDetector, tmp_path: Path) -> None:
    save_state(fitted, tmp_path / "weights.safetensors")
    loaded = CapsNetDetector((1, 16, 16), **SMALL)
    load_state(loaded, tmp_path / "weights.safetensors")
    images = digits([])[1][:9]
    scores, again, alone = (
        predict(d, x).scores for d, x in ((fitted, images), (loaded, images), (fitted, images[4:5]))
    )
    for name in ("pp", "re"):
        assert torch.equal(scores[name], again[name])
        torch.testing.assert_close(scores[name][4:5], alone[name])


def test_one_class_has_one_capsule_that_is_always_long(tmp_path: Path) -> None:
    train, test, labels = digits([3])
    detector = CapsNetDetector((1, 16, 16), **SMALL)
    detector.fit(train, make_run(tmp_path, batch_size=32, images_seen=320, learning_rate=2e-3))
    assert detector.capsules.classes == 1
    assert (predict(detector, test[labels == 5]).scores["pp"] < -0.7).all()


@pytest.mark.parametrize("norm", ["sq", "root", "none"])
def test_blank_images_have_finite_errors(norm: str) -> None:
    detector = CapsNetDetector((3, 16, 16), **SMALL, re_norm=norm)
    assert torch.isfinite(predict(detector, torch.zeros(2, 3, 16, 16)).scores["re"]).all()


def test_the_published_network_has_its_capsules() -> None:
    assert CapsNetDetector((1, 28, 28)).inputs == 1152
    assert CapsNetDetector((3, 32, 32)).inputs == 2048


def test_bad_options_are_named() -> None:
    with pytest.raises(ConfigError, match="re_norm"):
        CapsNetDetector((1, 16, 16), re_norm="half")
    with pytest.raises(ConfigError, match="8x8"):
        CapsNetDetector((1, 8, 8))
