from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from baselines.avid import Avid
from baselines.avid_networks import GridDetector, Inpainter, PatchDetector, levels_for, place_grid
from harness.errors import ConfigError, FitError
from harness.training.loop import Batch
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

PORTS = {"detector": "patch", "detector_width": 8, "game": "cross_entropy", "betas": [0.5, 0.999], "noise": 0.1,
         "test_noise": 0.0, "judged": "input", "reconstruction_weight": 0.4}  # fmt: skip


@pytest.mark.parametrize("kind", [GridDetector, PatchDetector])
@pytest.mark.parametrize(("size", "cells"), [(224, 11), (256, 13), (112, 11), (128, 13), (56, 11), (64, 13)])
def test_the_detectors_grid(kind, size, cells):
    detector = kind(1, levels_for(size, size), 2)
    assert detector(torch.rand(1, 1, size, size)).shape == (1, cells, cells)


def test_small_images_have_a_coarser_grid():
    assert GridDetector(1, levels_for(32, 32), 2)(torch.rand(1, 1, 32, 32)).shape == (1, 5, 5)


@pytest.mark.parametrize(
    ("kind", "side", "seen", "first", "step"),
    [(GridDetector, 224, 51, 25, 16), (GridDetector, 112, 31, 15, 8), (GridDetector, 32, 15, 7, 4),
     (PatchDetector, 224, 94, 31.5, 16)],
)  # fmt: skip
def test_the_receptive_field_and_where_the_grid_lies(kind, side, seen, first, step):
    torch.manual_seed(0)
    detector = kind(1, levels_for(side, side), 24).eval()
    image = torch.rand(1, 1, side, side, requires_grad=True)
    for cell in (2, 3):
        (gradient,) = torch.autograd.grad(detector(image)[0, cell, cell], image)
        rows = gradient[0, 0].abs().sum(1).nonzero().flatten()
        assert len(rows) == seen
        assert (rows[0] + rows[-1]) / 2 == first + step * cell
    assert (detector.first, detector.step) == (first, step)


def test_judgements_are_placed_where_their_cells_lie():
    grid = torch.arange(11.0).expand(1, 11, 11)
    placed = place_grid(grid, 224, 224, 25.0, 16.0)[0, 100]
    expected = np.interp(np.arange(224), 25 + 16 * np.arange(11), np.arange(11))
    np.testing.assert_allclose(placed, expected, atol=1e-4)


def test_the_second_authors_detector():
    detector = GridDetector(1, 5)
    plan = [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in detector.layers[::2]]
    assert plan == [(1, 96, 11, 4), (96, 96, 1, 1), (96, 96, 1, 1), (96, 96, 3, 2), (96, 96, 1, 1), (96, 96, 1, 1),
                    (96, 256, 5, 2), (256, 512, 1, 1), (512, 1024, 1, 1), (1024, 1024, 1, 1),
                    (1024, 1, 1, 1)]  # fmt: skip


def test_the_game_of_least_squares(tmp_path):
    torch.manual_seed(0)
    detector, run = Avid((1, 32, 32), width=4, detector_width=4).eval(), make_run(tmp_path)
    batch = Batch(torch.rand(4, 1, 32, 32), torch.zeros(4), 0, 0, 0.0)
    judge, paint = detector._judge(batch, run), detector._inpaint(batch, run)
    real, false = detector.detector(batch.images * 2 - 1), detector.detector(batch.shared["restored"])
    torch.testing.assert_close(judge["loss"], (real - 1).square().mean() + false.square().mean())
    torch.testing.assert_close(paint["loss"], (false - 1).square().mean())


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
    detector, images = Avid((3, 64, 64), width=4, detector_width=8).eval(), torch.rand(4, 3, 64, 64)
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


@pytest.mark.parametrize("options", [{"detector_width": 16, "reconstruction_weight": 0.4}, PORTS])
def test_a_small_fit_finds_the_planted_defect(options, tmp_path):
    train, images, masks = planted(32, kind="object", train=16)
    torch.manual_seed(0)
    detector = Avid(tuple(images.shape[1:]), width=8, **options)
    constant = {"stopped", "pattern"}
    before = {name: value.clone() for name, value in detector.state_dict().items() if name not in constant}
    detector.fit(train, make_run(tmp_path, images_seen=600, learning_rate=1e-3))
    assert all(not torch.equal(value, detector.state_dict()[name]) for name, value in before.items())
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert roc_auc_score(masks.ravel(), prediction.maps.ravel()) > 0.7
    assert roc_auc_score(masks.any((1, 2)), prediction.scores[""]) > 0.7

    validation = torch.from_numpy(train.validation).permute(0, 3, 1, 2).float() / 255
    error, irregular = detector.parts(validation)
    assert (error > detector.alpha).float().mean().item() == pytest.approx(0.01, abs=2e-3)
    # Its cells are few and drawn large: the share above it follows from which of them are equal, the quantile does not.
    assert detector.irregular.item() == pytest.approx(np.quantile(irregular.detach().numpy(), 0.99), rel=1e-6)
    assert 0 < (irregular > detector.irregular).float().mean().item() < 0.012

    save_state(detector, tmp_path / "weights.safetensors")
    again = Avid(tuple(images.shape[1:]), width=8, **options)
    load_state(again, tmp_path / "weights.safetensors")
    assert torch.equal(predict(again, images).maps, prediction.maps)
    single = torch.cat([predict(detector, image[None]).maps for image in images])
    torch.testing.assert_close(single, prediction.maps, atol=1e-5, rtol=1e-3)


def test_the_second_phase_gives_the_same_gradient_with_and_without_the_cache(tmp_path):
    torch.manual_seed(0)
    detector = Avid((1, 32, 32), width=4, detector_width=4, noise=0.0)
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
    detector = Avid(tuple(images.shape[1:]), width=4, detector_width=4, stop_error=10.0)
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
    for name in ("judged", "game", "decision", "detector"):
        with pytest.raises(ConfigError, match=name):
            Avid((3, 32, 32), **{name: "neither"})


def test_the_detector_alone_decides_on_request():
    torch.manual_seed(0)
    detector, images = (
        Avid((3, 32, 32), width=4, detector_width=8, decision="detector").eval(),
        torch.rand(2, 3, 32, 32),
    )
    prediction = predict(detector, images)
    torch.testing.assert_close(prediction.maps, detector.parts(images)[1] / detector.irregular)
    assert prediction.scores["detector"].min() > 0
