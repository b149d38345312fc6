"""What Grad-CAM is here (docs/attention.md), and the maps that are read off one fit."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cavga.attention import SCALARS, grad_cam, grad_cam_of_each
from cavga.detector import Cavga as Detector
from cavga.losses import describe
from cavga.normalise import NORMALISATIONS, Scale, normalise
from cavga.reading import Reader
from harness.training.detector import TrainingSet
from harness.training.loop import Batch
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted

SHAPE = (3, 16, 16)
Cavga = partial(Detector, depth=2)  # 4×4 cells


def alphas(detector: Detector, features: Tensor, score: Callable[[Any], Tensor]) -> Tensor:
    """Return Grad-CAM's weights (N,K) of each image for a score of the code."""
    code = detector.model.code(features.requires_grad_())
    (gradient,) = torch.autograd.grad(score(code).sum(), features)
    return gradient.mean((2, 3))


def features_of(detector: Detector, count: int = 5) -> Tensor:
    return torch.rand(count, detector.model.encoder.channels, 4, 4)


@pytest.mark.parametrize("latent", ["conv", "flat"])
def test_the_weights_are_the_same_for_every_image(latent: str) -> None:
    """The heads are linear and the scalar is a sum: A is one fixed 1×1 read-out of the features."""
    detector = Cavga(SHAPE, latent=latent, flat_size=7).eval()
    found = alphas(detector, features_of(detector), SCALARS["sum_mu"])
    torch.testing.assert_close(found, found[:1].expand_as(found))
    # of a convolutional z the gradient is the same in each cell; of a flat one it is averaged over the cells
    torch.testing.assert_close(found[0], detector.model.latent.read_out().sum(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("latent", ["conv", "flat"])
def test_the_class_logits_weights_are_the_same_too(latent: str) -> None:
    detector = Cavga(SHAPE, latent=latent, supervision="weak", flat_size=7).eval()
    classifier = detector.model.classifier
    assert classifier is not None
    found = alphas(detector, features_of(detector), lambda code: classifier.logits(code.z)[:, 1])
    torch.testing.assert_close(found, found[:1].expand_as(found))


@pytest.mark.parametrize("latent", ["conv", "flat"])
def test_the_class_probabilitys_weights_are_those_of_a_difference_of_logits_up_to_a_positive_factor(
    latent: str,
) -> None:
    detector = Cavga(SHAPE, latent=latent, supervision="weak", flat_size=7).eval()
    classifier = detector.model.classifier
    assert classifier is not None
    features = features_of(detector)
    logits = alphas(detector, features, lambda code: classifier.logits(code.z) @ torch.tensor([-1.0, 1.0]))
    probability = alphas(detector, features, lambda code: classifier(code.z)[:, 1])
    factor = probability.norm(dim=1, keepdim=True) / logits.norm(dim=1, keepdim=True)
    torch.testing.assert_close(probability, factor * logits, rtol=1e-3, atol=1e-6)


def test_the_square_of_mu_is_a_scalar_whose_weights_depend_on_the_image() -> None:
    detector = Cavga(SHAPE).eval()
    found = alphas(detector, features_of(detector), SCALARS["squared_mu"])
    assert (found - found[:1]).abs().max() > 1e-3


def test_bias_is_what_the_map_of_layer_20_has_beyond_that_of_the_features() -> None:
    detector = Cavga(SHAPE, maps={"mu": {"target": "mu"}}).eval()
    torch.nn.init.normal_(detector.model.latent.mu.bias)
    with torch.enable_grad():
        reader = Reader(detector.model, torch.rand(2, *SHAPE))
        difference = reader.raw(detector.readings["mu"]) - reader.raw(detector.readings[""])
    bias = detector.model.latent.mu.bias.sum().detach()
    torch.testing.assert_close(difference, bias.expand_as(difference), rtol=1e-4, atol=1e-4)


def test_under_the_plain_sigmoid_l_ae_falls_to_nothing_without_a_look_at_the_image() -> None:
    """Raising the one read-out on everything is enough: trained on noise, A is 1 on noise of another kind too."""
    torch.manual_seed(0)
    read_out = torch.nn.Conv2d(32, 1, 1, bias=False)
    torch.nn.init.normal_(read_out.weight, 0, 0.1)
    adam, seen = torch.optim.Adam(read_out.parameters(), 1e-2), []
    for _ in range(100):
        attention = normalise(read_out(torch.rand(16, 32, 4, 4))[:, 0], "sigmoid")
        loss = (1 - attention).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        seen.append(loss.item())
    assert seen[0] > 0.3
    assert seen[-1] < 0.01
    unlike = torch.rand(64, 32, 4, 4) * torch.tensor([0.0, 2.0]).repeat(16).view(1, 32, 1, 1)
    assert (1 - normalise(read_out(unlike)[:, 0], "sigmoid")).max() < 0.05, "no pixel would pass the threshold"


def test_under_min_max_l_ae_pushes_the_lowest_cell_down_and_all_others_together() -> None:
    """With M the mean of A over n cells: ∂M/∂raw is 1/n - (1-M) at the lowest, 1/n - M at the highest, else 1/n."""
    torch.manual_seed(0)
    raw = (torch.rand(1, 4, 4) * 3).requires_grad_()
    attention = normalise(raw, "min_max")
    (gradient,) = torch.autograd.grad(attention.mean(), raw)
    low, high, mean = raw.argmin(), raw.argmax(), attention.mean().item()
    expected = torch.full((16,), 1 / 16)
    expected[low] -= 1 - mean
    expected[high] -= mean
    torch.testing.assert_close(gradient.flatten(), expected / (raw.max() - raw.min()).item(), rtol=1e-4, atol=1e-6)
    assert gradient.flatten()[low] < 0, "a still lower cell brings every other one nearer to 1"


def test_the_log_says_where_the_lowest_cell_lies_and_how_much_is_above_one_half() -> None:
    same, apart = torch.ones(4, 2, 2), torch.ones(4, 2, 2)
    same[:, 0, 1] = 0
    for image in range(4):
        apart.view(4, 4)[image, image] = 0
    assert describe(same) == {"above_half": torch.tensor(0.75), "lowest_cells": torch.tensor(0.25)}
    assert describe(apart)["lowest_cells"] == 1


@pytest.mark.parametrize("options", [{}, {"expansion": False}, {"supervision": "weak"}])
def test_every_fit_logs_it(options: dict[str, Any], tmp_path: Path) -> None:
    detector = Cavga(SHAPE, **options)
    batch = Batch(torch.rand(4, *SHAPE), torch.tensor([0, 0, 1, 0]), 0, 0, 0.0)
    found = detector.objective.final_loss(make_run(tmp_path), batch)
    assert 0 <= found["above_half"] <= 1
    assert 0.25 <= found["lowest_cells"] <= 1


def test_each_latent_entrys_own_grad_cam_equals_the_slow_one() -> None:
    torch.manual_seed(0)
    for latent in ("conv", "flat"):
        detector = Cavga(SHAPE, latent=latent, flat_size=5).eval()
        features = features_of(detector, 2).requires_grad_()
        mu = (
            detector.model.latent(features)[0].flatten(2).sum(2)
            if latent == "conv"
            else detector.model.latent(features)[0]
        )
        slow = torch.stack([grad_cam(mu[:, i], features, relu=True) for i in range(mu.shape[1])]).mean(0)
        found = grad_cam_of_each(detector.model.latent.read_out(), features)
        torch.testing.assert_close(found, slow, rtol=1e-3, atol=1e-5)


def test_an_earlier_stage_gives_more_cells_and_the_maps_gradient_reaches_the_encoder(tmp_path: Path) -> None:
    for architecture in "DR":
        detector = Detector((3, 32, 32), architecture=architecture, depth=3, attention={"target": "stride_4"})
        code = detector.model.encode(torch.rand(2, 3, 32, 32))
        raw = detector.attention.raw_of_latent(code, detector.model.latent.read_out, create_graph=True)
        assert raw.shape == (2, 8, 8)
        moved = torch.autograd.grad(raw.sum(), list(detector.model.encoder.parameters()), allow_unused=True)
        assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in moved)


def test_scales_over_image_and_batch_by_hand() -> None:
    raw = torch.tensor([[[0.0, 2.0]], [[4.0, 8.0]]])
    torch.testing.assert_close(normalise(raw, "min_max", "image"), torch.tensor([[[0.0, 1.0]], [[0.0, 1.0]]]))
    torch.testing.assert_close(normalise(raw, "min_max", "batch"), torch.tensor([[[0.0, 0.25]], [[0.5, 1.0]]]))
    torch.testing.assert_close(normalise(raw, "share_of_max", "batch"), torch.tensor([[[0.0, 0.25]], [[0.5, 1.0]]]))
    learnt = Scale.of(torch.tensor([[[0.0, 4.0]]]), "batch")
    assert torch.equal(Scale.unpack(learnt.pack()).high, learnt.high)
    torch.testing.assert_close(normalise(raw, "min_max", "data", learnt), torch.tensor([[[0.0, 0.5]], [[1.0, 1.0]]]))


MAPS: dict[str, dict[str, Any]] = {
    **{how: {"normalisation": how} for how in NORMALISATIONS},
    **{f"{how} data": {"normalisation": how, "over": "data"} for how in NORMALISATIONS},
    "opposite": {"opposite": True},
    "mu": {"target": "mu", "normalisation": "sigmoid"},
    "stage": {"target": "stride_4"},
}
OF_THE_LATENT = {
    "logvar": {"target": "logvar", "scalar": "sum_logvar"},
    "each": {"scalar": "each_mu"},
    "squares": {"scalar": "squared_mu"},
}


@pytest.mark.parametrize("supervision", ["none", "weak"])
def test_many_readings_come_out_of_one_fit_and_of_its_weights(supervision: str, tmp_path: Path) -> None:
    train, images, _ = planted(size=32, train=8)
    train = TrainingSet(train.images, train.labels, train.images[:2], train.validation)
    maps = MAPS | (OF_THE_LATENT if supervision == "none" else {})
    options: dict[str, Any] = {"depth": 3, "architecture": "D", "supervision": supervision, "maps": maps}
    detector = Detector((3, 32, 32), **options)
    detector.fit(train, make_run(tmp_path, images_seen=16))
    found = detector.eval().predict(images).maps
    assert isinstance(found, dict)
    assert set(found) == {"", *maps}
    for name, value in found.items():
        assert value.shape == (len(images), 32, 32), name
        assert value.min() >= 0, name
        assert value.max() <= 1, name
    torch.testing.assert_close(found["opposite"], 1 - found[""])
    assert torch.equal(found["min_max"], found[""])
    save_state(detector, tmp_path / "weights.safetensors")
    again = Detector((3, 32, 32), **options).eval()
    load_state(again, tmp_path / "weights.safetensors")
    restored = again.predict(images[2:3]).maps
    assert isinstance(restored, dict)
    for name, value in restored.items():
        torch.testing.assert_close(value[0], found[name][2], rtol=1e-3, atol=1e-3)


def test_the_data_scale_is_that_of_the_normal_training_images(tmp_path: Path) -> None:
    train, _, _ = planted(size=32, train=8)
    detector = Detector((3, 32, 32), architecture="D", depth=3, test={"over": "data"})
    detector.fit(train, make_run(tmp_path, images_seen=16))
    images = torch.from_numpy(train.images).permute(0, 3, 1, 2).float() / 255
    with torch.enable_grad():
        reader = Reader(detector.eval().model, images)
        raw = reader.raw(detector.readings[""])
    expected = torch.stack([raw.min(), raw.max(), raw.mean(), raw.std(correction=0)])
    torch.testing.assert_close(detector.scales[0], expected, rtol=1e-3, atol=1e-4)
    maps = detector.predict(images).maps
    assert isinstance(maps, Tensor)
    assert maps.flatten(1).min(1).values.max() > 0, "the scale is not each image's own"


def test_z_may_be_sampled_at_test() -> None:
    detector = Cavga(SHAPE, test={"sampled": True, "scalar": "sum_z"}).eval()
    images = torch.rand(2, *SHAPE)
    results = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        results.append(detector.predict(images))
    assert torch.equal(results[0].scores, results[1].scores)
    assert not torch.equal(results[0].scores, results[2].scores)


def test_normalisations_in_training_and_at_test_are_two_keys() -> None:
    detector = Cavga(SHAPE, attention={"normalisation": "sigmoid"}, test={"normalisation": "min_max"})
    assert (detector.attention.normalisation, detector.readings[""].normalisation) == ("sigmoid", "min_max")
    inherited = Cavga(SHAPE, attention={"normalisation": "sigmoid", "over": "batch"}).readings[""]
    assert (inherited.normalisation, inherited.over) == ("sigmoid", "image")


def test_reductions_divide_by_what_their_name_says(tmp_path: Path) -> None:
    batch = Batch(torch.rand(2, *SHAPE), torch.zeros(2, dtype=torch.long), 0, 0, 0.0)
    found = {}
    for how in ("sum", "elements", "latents"):
        torch.manual_seed(0)
        found[how] = Cavga(SHAPE, kl_reduction=how).objective.final_loss(make_run(tmp_path), batch)["KL"]
    torch.testing.assert_close(found["sum"], found["elements"] * 3 * 16 * 16)
    torch.testing.assert_close(found["sum"], found["latents"] * 64 * 4 * 4)


def test_one_cell_has_no_expansion_and_no_guidance(tmp_path: Path) -> None:
    batch = Batch(torch.rand(4, 1, 32, 32), torch.zeros(4, dtype=torch.long), 0, 0, 0.0)
    for options, term in (({}, "L_ae"), ({"supervision": "weak"}, "L_cga")):
        for depth, there in ((0, False), (3, True)):
            detector = Detector((1, 32, 32), architecture="D", depth=depth, **options)
            assert (term in detector.objective.final_loss(make_run(tmp_path), batch)) == there
            assert (detector.eval().predict(batch.images).maps is not None) == there
