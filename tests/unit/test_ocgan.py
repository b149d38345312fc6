"""OCGAN: mining of informative negatives, and three phases that each move their own networks."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from baselines.ocgan import OneClassGan, side_for
from harness.errors import ConfigError
from harness.training.loop import Batch, Phase
from harness.training.state import load_state, save_state
from tests.digits import digits
from tests.fits import make_run, predict

SMALL = {"side": 29, "width": 8, "visual_width": 4}


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> OneClassGan:
    torch.manual_seed(0)
    detector = OneClassGan((1, 16, 16), **SMALL)
    run = make_run(tmp_path_factory.mktemp("fit"), batch_size=16, images_seen=960, learning_rate=1e-3)
    training = digits([0])[0]
    detector.fit(replace(training, images=training.images[10:], validation=training.images[:10]), run)
    return detector


def test_mining_moves_codes_only(fitted: OneClassGan) -> None:
    fitted.train()
    before = {key: value.clone() for key, value in fitted.state_dict().items()}
    codes = torch.rand(32, 16, 1, 1) * 2 - 1
    mined = fitted.mine(codes)
    assert all(torch.equal(value, before[key]) for key, value in fitted.state_dict().items())
    assert all(parameter.requires_grad for parameter in fitted.parameters())
    assert mined.abs().max() <= 1
    assert not torch.equal(mined, codes)
    assert not mined.requires_grad


def normality(detector: OneClassGan, codes: torch.Tensor) -> float:
    with torch.no_grad():
        return detector.classifier(detector.decoder(codes)).sigmoid().mean().item()


def test_mining_lowers_the_classifier(fitted: OneClassGan, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted.eval()
    codes = torch.rand(64, 16, 1, 1, generator=torch.Generator().manual_seed(3)) * 2 - 1
    assert normality(fitted, fitted.mine(codes)) < 0.5 * normality(fitted, codes)
    monkeypatch.setattr(fitted, "mining_steps", 1)
    monkeypatch.setattr(fitted, "mining_rate", 0.05)
    means = [normality(fitted, codes)]
    for _ in range(5):
        codes = fitted.mine(codes)
        means.append(normality(fitted, codes))
    assert all(late < early for early, late in itertools.pairwise(means)), means


@pytest.mark.parametrize(
    ("name", "moved"),
    [
        ("classifier_loss", {"classifier"}),
        ("critics_loss", {"visual", "latent_critic"}),
        ("autoencoder_loss", {"encoder", "decoder"}),
    ],
)
def test_each_phase_moves_its_own_networks(name: str, moved: set[str], tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = OneClassGan((3, 32, 32), **SMALL).train()
    networks = dict(detector.named_children())
    before = {key: value.clone() for key, value in detector.state_dict().items()}
    parameters = [p for key in moved for p in networks[key].parameters()]
    run = make_run(tmp_path)
    phase = Phase(torch.optim.Adam(parameters, lr=1e-3), partial(getattr(detector, name), run))
    run._phase(phase, Batch(torch.rand(8, 3, 32, 32), torch.zeros(8, dtype=torch.int64), 0, 0, 0.5), "test")
    changed = {key.split(".")[0] for key, value in detector.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == moved


def test_losses_are_those_of_algorithm_1(tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = OneClassGan((3, 32, 32), **SMALL, noise=0.0).eval()
    run = make_run(tmp_path)
    batch = Batch(torch.rand(8, 3, 32, 32), torch.zeros(8, dtype=torch.int64), 0, 0, 0.5)
    with torch.no_grad():
        critics = detector.critics_loss(run, batch)
        classifier = detector.classifier_loss(run, batch)
        autoencoder = detector.autoencoder_loss(run, batch)["loss"]
        images = batch.images[..., 1:-2, 1:-2] * 2 - 1
        code, random = detector.encoder(images), batch.shared["random"]
        decoded, fake, mined = detector.decoder(code), detector.decoder(random), detector.decoder(detector.mine(random))

        def is_real(logits: torch.Tensor) -> torch.Tensor:
            return -F.logsigmoid(logits).mean()

        def is_fake(logits: torch.Tensor) -> torch.Tensor:
            return -F.logsigmoid(-logits).mean()

        latent = is_fake(detector.latent_critic(code)) + is_real(detector.latent_critic(random))
        visual = is_fake(detector.visual(fake)) + is_real(detector.visual(images))
        deceit = is_real(detector.latent_critic(code)) + is_real(detector.visual(mined))
    torch.testing.assert_close(critics["latent"], latent)
    torch.testing.assert_close(critics["visual"], visual)
    torch.testing.assert_close(
        classifier["loss"], is_real(detector.classifier(decoded)) + is_fake(detector.classifier(fake))
    )
    torch.testing.assert_close(autoencoder, deceit + 10 * F.mse_loss(decoded, images))


def test_learns_one_class_and_survives_saving(fitted: OneClassGan, tmp_path: Path) -> None:
    _, test, labels = digits([0])
    scores = predict(fitted, test).scores
    assert roc_auc_score(labels != 0, scores) > 0.9
    save_state(fitted, tmp_path / "weights.safetensors")
    loaded = OneClassGan((1, 16, 16), **SMALL)
    load_state(loaded, tmp_path / "weights.safetensors")
    assert torch.equal(predict(loaded, test).scores, scores)
    torch.testing.assert_close(predict(fitted, test[5:6]).scores, scores[5:6])


@pytest.mark.parametrize(("size", "side"), [(16, 61), (32, 61), (64, 61), (128, 125), (256, 253)])
def test_sides(size: int, side: int) -> None:
    assert side_for(size) == side
    detector = OneClassGan((1, size, size), width=2, visual_width=2).eval()
    images = torch.rand(2, 1, size, size)
    assert detector.encoder(detector._input(images)).shape == (2, 16, 1, 1)
    maps = detector.predict(images).maps
    assert maps is not None
    assert maps.shape == ((2, size, size) if size >= 64 else (2, side, side))


def test_cropped_maps_stay_where_the_error_is() -> None:
    detector = OneClassGan((3, 64, 64), width=2, visual_width=2).eval()
    images = torch.full((1, 3, 64, 64), 0.5)
    plain = detector.predict(images).maps
    images[..., 40:44, 20:24] = 1.0
    changed = detector.predict(images).maps
    assert plain is not None
    assert changed is not None
    top, left = divmod(int((changed - plain)[0].argmax()), 64)
    assert 40 <= top < 44
    assert 20 <= left < 24


def test_the_repositorys_ways_are_switches(tmp_path: Path) -> None:
    images = torch.rand(8, 3, 32, 32)
    statistics, losses = [], []
    for options in ({}, {"clean_statistics": True}, {"latent_weight": 10.0}):
        torch.manual_seed(0)
        detector = OneClassGan((3, 32, 32), **SMALL, **options)
        torch.manual_seed(1)
        batch = Batch(images, torch.zeros(8, dtype=torch.int64), 0, 0, 0.5)
        losses.append(detector.autoencoder_loss(make_run(tmp_path), batch)["loss"])
        statistics.append(detector.encoder[0][3].running_mean.clone())
    assert not torch.allclose(statistics[0], statistics[1])
    torch.testing.assert_close(losses[0], losses[1])
    assert losses[2] > losses[0] + 1


def test_noise_at_test_is_one_pattern_and_the_error_is_against_the_clean_image(fitted: OneClassGan) -> None:
    _, test, _ = digits([0])
    clean = predict(fitted, test).scores
    fitted.test_noise = 0.2
    noisy, single = predict(fitted, test).scores, predict(fitted, test[3:4], seed=5).scores
    images = fitted._input(test)
    with torch.no_grad():
        expected = (images - fitted.decoder(fitted.encoder(images + 0.2 * fitted.pattern))).square().mean((1, 2, 3))
    fitted.test_noise = 0.0
    torch.testing.assert_close(noisy, expected)
    torch.testing.assert_close(single, noisy[3:4])
    assert not torch.allclose(noisy, clean)


def test_bad_options_are_named() -> None:
    with pytest.raises(ConfigError, match="side 32"):
        OneClassGan((1, 32, 32), side=32)
