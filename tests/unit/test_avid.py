from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from baselines.avid import Avid
from baselines.avid_networks import Inpainter, PatchDetector, levels_for, place_grid
from harness.errors import ConfigError, FitError
from harness.training.loop import Batch
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict


@pytest.mark.parametrize(
    ("size", "cells"), [(224, 11), (256, 13), (112, 11), (128, 13), (56, 11), (64, 13), (28, 11), (32, 13)]
)
def test_the_detectors_grid(size, cells):
    detector = PatchDetector(1, levels_for(size, size), 2)
    assert detector(torch.rand(1, 1, size, size)).shape == (1, cells, cells)


def test_the_receptive_field_is_94_pixels_in_steps_of_16_and_the_grid_lies_there():
    detector = PatchDetector(1, 5, 2).eval()
    image = torch.rand(1, 1, 224, 224, requires_grad=True)
    for cell in (4, 5):
        (gradient,) = torch.autograd.grad(detector(image)[0, cell, cell], image)
        seen = gradient[0, 0].abs().sum(1).nonzero().flatten()
        assert len(seen) == 94
        assert (seen[0] + seen[-1]) / 2 == 31.5 + 16 * cell
    grid = torch.arange(11.0).expand(1, 11, 11)
    placed = place_grid(grid, 224, 224)[0, 100]
    expected = np.interp(np.arange(224), 31.5 + 16 * np.arange(11), np.arange(11))
    np.testing.assert_allclose(placed, expected, atol=1e-4)


def test_the_inpainters_plan_at_256_pixels():
    inpainter, shapes = Inpainter(3), []
    for layer in [*inpainter.downs, *inpainter.ups, inpainter.output]:
        layer.register_forward_hook(lambda _, given, out: shapes.append((given[0].shape[1], *out.shape[1:3])))
    out = inpainter(torch.rand(1, 3, 256, 256))
    assert out.shape == (1, 3, 256, 256)
    assert out.abs().max() <= 1
    assert shapes == [(3, 32, 128), (32, 64, 64), (64, 128, 32), (128, 256, 16), (256, 512, 8),
                      (512, 512, 16), (768, 512, 32), (640, 256, 64), (320, 128, 128), (160, 64, 256),
                      (64, 3, 256)]  # fmt: skip


def test_the_map_exceeds_one_exactly_at_the_intersection():
    torch.manual_seed(0)
    detector, images = Avid((3, 64, 64), width=4).eval(), torch.rand(4, 3, 64, 64)
    error, irregular = detector.parts(images)
    detector.alpha.fill_(error.median())
    detector.irregular.fill_(irregular.median())
    both = (error > error.median()) & (irregular > irregular.median())
    assert both.any()
    assert not both.all()
    prediction = predict(detector, images)
    assert torch.equal(prediction.maps > detector.own_threshold, both)
    assert torch.equal(prediction.scores[""], prediction.maps.amax((1, 2)))
    assert torch.equal(prediction.scores["error"], error.amax((1, 2)))


def test_a_small_fit_finds_the_planted_defect(tmp_path):
    train, images, masks = planted(32, kind="object", train=16)
    torch.manual_seed(0)
    detector = Avid(tuple(images.shape[1:]), width=8)
    before = {name: value.clone() for name, value in detector.state_dict().items() if name != "stopped"}
    detector.fit(train, make_run(tmp_path, images_seen=600, learning_rate=1e-3))
    assert all(not torch.equal(value, detector.state_dict()[name]) for name, value in before.items())
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert roc_auc_score(masks.ravel(), prediction.maps.ravel()) > 0.7
    assert roc_auc_score(masks.any((1, 2)), prediction.scores[""]) > 0.7

    validation = torch.from_numpy(train.validation).permute(0, 3, 1, 2).float() / 255
    error, irregular = detector.parts(validation)
    assert (error > detector.alpha).float().mean().item() == pytest.approx(0.01, abs=2e-3)
    assert (irregular > detector.irregular).float().mean().item() == pytest.approx(0.01, abs=2e-3)

    save_state(detector, tmp_path / "weights.safetensors")
    again = Avid(tuple(images.shape[1:]), width=8)
    load_state(again, tmp_path / "weights.safetensors")
    assert torch.equal(predict(again, images).maps, prediction.maps)
    single = torch.cat([predict(detector, image[None]).maps for image in images])
    torch.testing.assert_close(single, prediction.maps, atol=1e-5, rtol=1e-3)


def test_the_second_phase_gives_the_same_gradient_with_and_without_the_cache(tmp_path):
    torch.manual_seed(0)
    detector = Avid((1, 32, 32), width=4, noise=0.0)
    run = make_run(tmp_path)
    images = torch.rand(4, 1, 32, 32)
    gradients = []
    for cached in (True, False):
        batch = Batch(images, torch.zeros(4), 0, 0, 0.0)
        if cached:
            detector._judge(batch, run)["loss"].backward(inputs=list(detector.detector.parameters()))
            assert "restored" in batch.shared
        loss = detector._inpaint(batch, run)["loss"]
        gradients.append(torch.autograd.grad(loss, list(detector.inpainter.parameters())))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


def test_the_literal_variant_stops_at_a_small_error(tmp_path):
    train, images, _ = planted(32, channels=1)
    detector = Avid(tuple(images.shape[1:]), width=4, reconstruction_weight=0.0, stop_error=10.0)
    passes = []
    detector.inpainter.register_forward_hook(lambda *_: passes.append(detector.training))
    detector.fit(train, make_run(tmp_path, images_seen=80))
    assert passes.count(True) == 1
    assert detector.stopped.item() == 1


def test_what_is_missing_or_wrong_is_named(tmp_path):
    train, _, _ = planted(32)
    with pytest.raises(FitError, match="validation"):
        Avid((3, 32, 32), width=4).fit(replace(train, validation=train.validation[:0]), make_run(tmp_path))
    with pytest.raises(ConfigError, match="100x100"):
        Avid((3, 100, 100))
    with pytest.raises(ConfigError, match="judged"):
        Avid((3, 32, 32), judged="both")
