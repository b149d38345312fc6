"""ULSLM: four networks in turn, each trained alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from sklearn.metrics import roc_auc_score

from baselines.ulslm import LocalMaxima, pass_steps, surprise
from harness.errors import ConfigError
from harness.training.loop import Batch
from harness.training.state import load_state, save_state
from tests.digits import digits
from tests.fits import make_run, predict


def test_surprise_is_the_clamped_cross_entropy() -> None:
    logits = torch.tensor([-30.0, -1.0, 0.0, 2.0, 30.0])
    p = logits.double().sigmoid().clamp(1e-6, 1 - 1e-6)
    torch.testing.assert_close(surprise(logits, accepted=True).double(), -p.log(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(surprise(logits, accepted=False).double(), -(1 - p).log(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("turn", range(4))
def test_only_the_scheduled_network_changes(turn: int, tmp_path: Path) -> None:
    torch.manual_seed(turn)
    detector = LocalMaxima((1, 16, 16), width=4).train()
    networks = detector.networks()
    before = [{key: value.clone() for key, value in net.state_dict().items()} for net in networks]
    run = make_run(tmp_path)
    losses = [detector.set_generator_loss, detector.in_set_loss, detector.value_generator_loss, detector.at_least_loss]
    phase = detector._phase(turn, losses[turn], 1, run)
    batch = Batch(torch.rand(16, 1, 16, 16), torch.zeros(16, dtype=torch.int64), turn, 0, 0.0)
    assert phase.when(batch)
    run._phase(phase, batch, "test")
    for number, (network, old) in enumerate(zip(networks, before, strict=True)):
        changed = {key for key, value in network.state_dict().items() if not torch.equal(value, old[key])}
        assert bool(changed) == (number == turn), changed


def test_each_network_is_trained_for_one_pass_in_turn(tmp_path: Path) -> None:
    detector = LocalMaxima((1, 16, 16), width=4, rounds=2)
    train = digits([0, 1])[0]
    train = replace(train, images=train.images[:48], labels=train.labels[:48])
    turns: list[list[int]] = []
    original = detector._phase

    def spy(*arguments: object) -> object:
        phase = original(*arguments)
        turns.append([step for step in range(24) if phase.when(Batch(*(torch.empty(0),) * 2, step, step // 3, 0.0))])
        return phase

    detector._phase = spy
    detector.fit(train, make_run(tmp_path, batch_size=16, images_seen=24 * 16))
    assert turns == [[0, 1, 2, 12, 13, 14], [3, 4, 5, 15, 16, 17], [6, 7, 8, 18, 19, 20], [9, 10, 11, 21, 22, 23]]


def test_short_budgets_shorten_the_passes() -> None:
    assert pass_steps(epoch=169, total=169 * 400, rounds=10) == 169
    assert pass_steps(epoch=169, total=80, rounds=10) == 2
    assert pass_steps(epoch=169, total=4, rounds=10) == 1


def test_generators_want_what_the_losses_say() -> None:
    torch.manual_seed(0)
    detector = LocalMaxima((1, 16, 16), width=4).train()
    images = torch.rand(8, 1, 16, 16) * 2 - 1
    made = detector.set_generator(images)
    outside = -torch.log(1 - detector.in_set(made).sigmoid())
    less = -torch.log(1 - detector.at_least(torch.cat([made, images], 1)).sigmoid())
    torch.testing.assert_close(detector.set_generator_loss(images)["loss"], -(outside * less).mean())
    made = detector.value_generator(images)
    outside = -torch.log(1 - detector.in_set(made).sigmoid())
    less = -torch.log(1 - detector.at_least(torch.cat([made, images], 1)).sigmoid())
    distance = (images - made).square().sum((1, 2, 3)).sqrt().mean()
    torch.testing.assert_close(detector.value_generator_loss(images)["loss"], distance - (outside * less).mean())


@pytest.mark.parametrize("size", [16, 32, 64, 256])
def test_sizes(size: int) -> None:
    detector = LocalMaxima((3, size, size), width=2).eval()
    images = torch.rand(2, 3, size, size)
    assert detector.set_generator(images).shape == images.shape
    assert predict(detector, images).scores.shape == (2,)
    strides = [layer for layer in detector.set_generator.layers if isinstance(layer, torch.nn.Conv2d)]
    assert len(strides) == math.log2(size)


def test_learns_one_class_and_survives_saving(tmp_path: Path) -> None:
    train, test, labels = digits([0])
    torch.manual_seed(0)
    detector = LocalMaxima((1, 16, 16), width=8)
    detector.fit(train, make_run(tmp_path, batch_size=16, images_seen=2560, learning_rate=5e-4))
    prediction = predict(detector, test)
    assert prediction.maps is None
    assert roc_auc_score(labels != 0, prediction.scores) > 0.8
    save_state(detector, tmp_path / "weights.safetensors")
    loaded = LocalMaxima((1, 16, 16), width=8)
    load_state(loaded, tmp_path / "weights.safetensors")
    assert torch.equal(predict(loaded, test).scores, prediction.scores)
    torch.testing.assert_close(predict(detector, test[5:6]).scores, prediction.scores[5:6])


def test_bad_sizes_are_named() -> None:
    with pytest.raises(ConfigError, match="28x28"):
        LocalMaxima((1, 28, 28))
