"""MemAE: addressing of the memory, and a fit that reconstructs what it remembers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from baselines.memae import Memory, MemoryAutoencoder, entropy
from harness.errors import ConfigError
from harness.training.state import load_state, save_state
from tests.digits import digits
from tests.fits import make_run, predict

SMALL = {"widths": (8, 16, 32), "slots": 30}


def test_hardshrink_is_the_published_formula_in_value_and_gradient() -> None:
    threshold = 0.01
    weights = torch.linspace(1e-4, 0.2, 997, dtype=torch.float64, requires_grad=True)
    published = F.relu(weights - threshold) * weights / ((weights - threshold).abs() + 1e-12)
    ours = F.hardshrink(weights, threshold)
    torch.testing.assert_close(ours, published, rtol=1e-7, atol=1e-9)
    gradients = [torch.autograd.grad(value.sum(), weights, retain_graph=True)[0] for value in (ours, published)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("addressing", ["dot", "cosine"])
def test_weights_are_sparse_and_sum_to_one(addressing: str) -> None:
    torch.manual_seed(0)
    memory = Memory(50, 64, 1.0, addressing)
    weights = memory.address(torch.randn(200, 64))
    torch.testing.assert_close(weights.sum(1), torch.ones(200))
    survivors = (weights > 0).sum(1)
    assert survivors.min() >= 1
    assert survivors.max() < 50
    assert 1 <= survivors.float().mean() <= 25


def test_the_best_slot_is_left_where_shrinkage_removes_all() -> None:
    memory = Memory(50, 64, threshold=3.0, addressing="cosine")
    queries = memory.items.detach()[[7, 31]]
    weights = memory.address(queries)
    assert weights.argmax(1).tolist() == [7, 31]
    torch.testing.assert_close(weights, F.one_hot(torch.tensor([7, 31]), 50).float())
    torch.testing.assert_close(memory(queries)[0], queries)


def test_entropy_is_zero_for_one_slot_and_largest_for_all() -> None:
    assert entropy(torch.eye(8)).item() == pytest.approx(0, abs=1e-6)
    assert entropy(torch.full((3, 8), 1 / 8)).item() == pytest.approx(np.log(8))


def test_gradient_reaches_memory_encoder_and_decoder() -> None:
    detector = MemoryAutoencoder((1, 16, 16), **SMALL)
    codes = detector.encoder(torch.rand(4, 1, 16, 16)).flatten(1)
    remembered, weights = detector.memory(codes)
    detector._decode(remembered).square().sum().backward()
    rows = detector.memory.items.grad
    assert rows is not None
    rows = rows.abs().sum(1)
    assert torch.equal(rows > 1e-3 * rows.max(), (weights > 0).any(0))
    for part in (detector.encoder, detector.decoder):
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters() if p.ndim > 1)


@pytest.mark.parametrize(
    ("shape", "options", "code"),
    [
        ((1, 32, 32), {}, (64, 4, 4)),
        ((3, 32, 32), {"widths": (64, 128, 128, 256), "first_kernel": 3}, (256, 2, 2)),
        ((1, 16, 16), {}, (64, 2, 2)),
    ],
)
def test_published_codes(shape: tuple[int, int, int], options: dict[str, object], code: tuple[int, ...]) -> None:
    detector = MemoryAutoencoder(shape, **options).eval()
    assert detector.code == code
    prediction = detector.predict(torch.rand(2, *shape))
    assert prediction.maps is not None
    assert prediction.maps.shape == (2, *shape[1:])


def test_learns_one_class_and_survives_saving(tmp_path: Path) -> None:
    train, test, labels = digits([0])
    torch.manual_seed(0)
    detector = MemoryAutoencoder((1, 16, 16), **SMALL)
    detector.fit(train, make_run(tmp_path, batch_size=32, images_seen=3200, learning_rate=2e-3))
    scores = predict(detector, test).scores
    assert roc_auc_score(labels != 0, scores) > 0.9
    codes = detector.encoder(test * 2 - 1).flatten(1)
    assert 1 <= (detector.memory.address(codes) > 0).sum(1).float().mean() <= SMALL["slots"] / 2
    save_state(detector, tmp_path / "weights.safetensors")
    loaded = MemoryAutoencoder((1, 16, 16), **SMALL)
    load_state(loaded, tmp_path / "weights.safetensors")
    assert torch.equal(predict(loaded, test).scores, scores)
    torch.testing.assert_close(predict(detector, test[5:6]).scores, scores[5:6])


def test_bad_options_are_named() -> None:
    with pytest.raises(ConfigError, match="addressing"):
        MemoryAutoencoder((1, 32, 32), addressing="hash")
    with pytest.raises(ConfigError, match="multiples of 8"):
        MemoryAutoencoder((1, 28, 28))
