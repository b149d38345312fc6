import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cavga.detector import Cavga as Detector
from harness.errors import ConfigError
from harness.training.detector import TrainingSet
from harness.training.loop import Batch
from tests.fits import make_run

SHAPE = (3, 16, 16)
Cavga = partial(Detector, depth=2)  # 4×4 cells


def batch(labels: tuple[int, ...] = (0, 0, 1, 0)) -> Batch:
    return Batch(torch.rand(len(labels), *SHAPE), torch.tensor(labels), 0, 0, 0.0)


def reached(detector: Detector, term: Tensor) -> set[str]:
    """Return the names of the parameters that a loss term moves, up to their part of the model."""
    named = list(detector.model.named_parameters())
    gradients = torch.autograd.grad(term, [p for _, p in named], allow_unused=True, retain_graph=True)
    moved = {name for (name, _), g in zip(named, gradients, strict=True) if g is not None and g.abs().sum() > 0}
    whole = ("encoder", "decoder", "discriminator", "classifier.linear")
    return {next((w for w in whole if name.startswith(w)), name) for name in moved}


MU, LOGVAR = ({f"latent.{head}.weight", f"latent.{head}.bias"} for head in ("mu", "logvar"))


@pytest.mark.parametrize("architecture", ["R", "D"])
def test_each_unsupervised_term_reaches_what_it_should_and_nothing_else(architecture: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = Cavga(SHAPE, architecture=architecture)
    terms = detector.objective.final_loss(make_run(tmp_path), batch())
    assert reached(detector, terms["L_R"]) == {"encoder", "decoder", *MU, *LOGVAR}
    assert reached(detector, terms["KL"]) == {"encoder", *MU, *LOGVAR}
    assert reached(detector, terms["L_adv"]) == {"encoder", "decoder", "discriminator", *MU, *LOGVAR}
    # d(sum of mu)/dF = W_mu: neither the bias nor the variance takes part in the map
    assert reached(detector, terms["L_ae"]) == {"encoder", "latent.mu.weight"}


def test_each_weakly_supervised_term_reaches_what_it_should_and_nothing_else(tmp_path: Path) -> None:
    torch.manual_seed(0)
    detector = Cavga(SHAPE, supervision="weak")
    with torch.no_grad():
        detector.model.classifier.linear.bias.copy_(torch.tensor([9.0, 0.0]))  # normal images are called normal
    terms = detector.objective.final_loss(make_run(tmp_path), batch())
    assert "L_ae" not in terms
    assert reached(detector, terms["L_bce"]) == {"encoder", "classifier.linear", *MU, *LOGVAR}
    assert terms["L_cga"] > 0
    assert reached(detector, terms["L_cga"]) >= {"encoder", "classifier.linear", "latent.mu.weight"}
    assert not reached(detector, terms["L_cga"]) & {"decoder", "discriminator", "latent.mu.bias"}


def test_the_discriminators_loss_moves_the_discriminator_alone(tmp_path: Path) -> None:
    detector = Cavga(SHAPE)
    run, b = make_run(tmp_path), batch()
    detector.objective.final_loss(run, b)
    assert reached(detector, detector.objective.discriminator_loss(run, b)["loss"]) == {"discriminator"}


@pytest.mark.parametrize(("number", "moving"), [(0, {"encoder", "latent", "decoder"}), (1, {"discriminator"})])
def test_each_player_steps_with_its_own_networks_only(number: int, moving: set[str], tmp_path: Path) -> None:
    detector = Cavga(SHAPE, expansion=True)
    run = make_run(tmp_path)
    before = {name: p.detach().clone() for name, p in detector.model.named_parameters()}
    run._phase(detector.phases(run)[number], batch(), "test")
    after = dict(detector.model.named_parameters())
    changed = {name.split(".")[0] for name, p in before.items() if not torch.equal(p, after[name])}
    assert changed == moving


def test_the_second_player_reuses_the_first_ones_reconstruction(tmp_path: Path) -> None:
    detector, run, b = Cavga(SHAPE), make_run(tmp_path), batch()
    detector.objective.final_loss(run, b)
    calls: list[int] = []
    detector.model.encoder.relu.register_forward_hook(lambda *_: calls.append(1))
    assert not b.shared["fake"].requires_grad
    detector.objective.discriminator_loss(run, b)
    assert not calls
    b.shared.clear()
    detector.objective.discriminator_loss(run, b)
    assert calls == [1]


def test_the_total_is_the_papers_weighted_sum(tmp_path: Path) -> None:
    for supervision in ("none", "weak"):
        t = Cavga(SHAPE, supervision=supervision).objective.final_loss(make_run(tmp_path), batch())
        own = 0.01 * t["L_ae"] if supervision == "none" else 0.001 * t["L_bce"] + 0.01 * t["L_cga"]
        torch.testing.assert_close(t["loss"], t["L_R"] + t["KL"] + t["L_adv"] + own)


def test_ablations_leave_out_their_term(tmp_path: Path) -> None:
    assert "L_ae" not in Cavga(SHAPE, expansion=False).objective.final_loss(make_run(tmp_path), batch())
    terms = Cavga(SHAPE, supervision="weak", guidance=False).objective.final_loss(make_run(tmp_path), batch())
    assert "L_cga" not in terms
    assert "L_bce" in terms


def test_reduction_by_images_is_the_sum_over_an_images_values(tmp_path: Path) -> None:
    b, values = batch(), []
    for reduction in ("elements", "sum"):
        torch.manual_seed(0)
        terms = Cavga(SHAPE, reduction=reduction, kl_reduction=reduction).objective.final_loss(make_run(tmp_path), b)
        values.append(torch.stack([terms["L_R"], terms["KL"]]))
    torch.testing.assert_close(values[1], values[0] * 3 * 16 * 16)


def test_other_weights_than_the_papers_reach_their_terms(tmp_path: Path) -> None:
    for supervision in ("none", "weak"):
        weights = {"r": 2.0, "adv": 3.0, "ae": 5.0, "c": 7.0, "cga": 11.0}
        t = Cavga(SHAPE, supervision=supervision, weights=weights).objective.final_loss(make_run(tmp_path), batch())
        own = 5 * t["L_ae"] if supervision == "none" else 7 * t["L_bce"] + 11 * t["L_cga"]
        torch.testing.assert_close(t["loss"], 2 * (t["L_R"] + t["KL"]) + 3 * t["L_adv"] + own)


def test_both_players_see_the_discriminators_verdict_on_the_same_reconstruction(tmp_path: Path) -> None:
    torch.manual_seed(0)
    b, run = batch(), make_run(tmp_path)
    for game in ("non_saturating", "minimax"):
        detector = Cavga(SHAPE, game=game)
        found = detector.objective.final_loss(run, b)["L_adv"]
        judge, hat = detector.model.discriminator, b.shared["fake"]
        by_hand = (1 - judge(hat)).log().mean() if game == "minimax" else -judge(hat).log().mean()
        torch.testing.assert_close(found, by_hand)
        loss = -judge(b.images).log().mean() - (1 - judge(hat)).log().mean()
        torch.testing.assert_close(detector.objective.discriminator_loss(run, b)["loss"], loss)


def test_z_is_drawn_from_the_posterior_in_training_and_is_its_mean_at_test() -> None:
    torch.manual_seed(0)
    model = Cavga(SHAPE).model
    nn.init.zeros_(model.latent.logvar.weight)
    nn.init.constant_(model.latent.logvar.bias, 2 * math.log(3))  # σ = 3
    code = model.train().code(torch.rand(64, model.encoder.channels, 4, 4))
    drawn = (code.z - code.mu).detach()
    assert drawn.std().item() == pytest.approx(3, rel=0.02)
    assert drawn.mean().item() == pytest.approx(0, abs=0.03)
    code = model.eval().code(code.features)
    assert torch.equal(code.z, code.mu)


def test_both_players_have_the_optimiser_of_the_adversarial_game(tmp_path: Path) -> None:
    for phase in Cavga(SHAPE).phases(make_run(tmp_path, learning_rate=3e-4)):
        assert isinstance(phase.optimizer, torch.optim.Adam)
        (group,) = phase.optimizer.param_groups
        assert (group["lr"], group["betas"]) == (3e-4, (0.5, 0.999))


@pytest.mark.parametrize("supervision", ["none", "weak"])
@pytest.mark.parametrize("latent", ["conv", "flat"])
def test_predictions_do_not_depend_on_the_batch_and_lie_in_the_unit_interval(supervision: str, latent: str) -> None:
    detector = Cavga(SHAPE, supervision=supervision, latent=latent).eval()
    images = torch.rand(5, *SHAPE)
    with torch.inference_mode():
        whole = detector.predict(images)
        assert isinstance(whole.scores, Tensor)
        assert whole.maps is not None
        assert whole.maps.shape == (5, 16, 16)
        assert whole.maps.min() >= 0
        assert whole.maps.max() <= 1
        one = detector.predict(images[3:4])
    assert one.maps is not None
    torch.testing.assert_close(one.maps[0], whole.maps[3], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(one.scores[0], whole.scores[3], rtol=1e-4, atol=1e-5)


def test_the_unsupervised_score_is_the_mean_absolute_difference() -> None:
    detector, images = Cavga(SHAPE).eval(), torch.rand(2, *SHAPE)
    with torch.no_grad():
        hat = detector.model.decode(detector.model.encode(images).mu)
    torch.testing.assert_close(detector.predict(images).scores, (hat - images).abs().mean((1, 2, 3)))


class Brightness(nn.Module):
    """An encoder that sees how bright each of 4×4 patches is, in every channel alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(images.mean(1, keepdim=True), 4).expand(-1, self.channels, -1, -1)

    def stages(self, images: Tensor) -> dict[int, Tensor]:
        return {4: self(images)}


def seeing_brightness(supervision: str) -> Detector:
    """Return a CAVGA whose latent, and whose class "normal", are the image's brightness."""
    detector = Cavga(SHAPE, supervision=supervision)
    model = detector.model
    model.encoder = Brightness(model.encoder.channels)
    with torch.no_grad():
        for head in (model.latent.mu, model.latent.logvar):
            nn.init.zeros_(head.weight)
        nn.init.ones_(model.latent.mu.weight)
        if model.classifier is not None:
            model.classifier.linear.weight.copy_(torch.tensor([[1.0], [-1.0]]).expand(2, 16 * model.encoder.channels))
    return detector


def planted() -> tuple[Tensor, Tensor]:
    """Return a bright image with a dark square on one of its 4×4 patches, and the square's mask."""
    images, mask = torch.full((1, *SHAPE), 0.9), torch.zeros(1, 16, 16, dtype=torch.bool)
    mask[:, 4:8, 8:12] = True
    images[:, :, 4:8, 8:12] = 0.1
    return images, mask


@pytest.mark.parametrize("supervision", ["none", "weak"])
def test_a_planted_defect_is_where_the_map_is_above_one_half(supervision: str) -> None:
    detector = seeing_brightness(supervision).eval()
    detector.upsampling = "nearest"
    images, mask = planted()
    maps = detector.predict(images).maps
    assert maps is not None
    assert torch.equal(maps > 0.5, mask)


def test_guidance_wants_the_normal_classs_map_everywhere_and_the_anomalous_ones_nowhere(tmp_path: Path) -> None:
    detector = seeing_brightness("weak")
    images, _ = planted()
    terms = detector.objective.final_loss(
        make_run(tmp_path), Batch(images.requires_grad_(), torch.tensor([0]), 0, 0, 0.0)
    )
    # A of "normal" is 0 on one cell of 16 and 1 elsewhere, A of "anomalous" the reverse: (1 + 1) / 16
    torch.testing.assert_close(terms["L_cga"].detach(), torch.tensor(2 / 16))


def training_set(normal: int, anomalous: int) -> TrainingSet:
    images = np.zeros((normal + anomalous, 16, 16, 3), np.uint8)
    return TrainingSet(images[:normal], np.zeros(normal, np.int64), images[normal:], images[:0])


def test_anomalous_images_enter_once_each_or_up_to_their_share() -> None:
    once = Cavga(SHAPE, supervision="weak").sample(training_set(30, 2))
    assert once[0].shape == (32, 16, 16, 3)
    assert once[1].tolist() == [0] * 30 + [1] * 2
    _, labels = Cavga(SHAPE, supervision="weak", anomalous_share=0.25).sample(training_set(30, 2))
    assert (labels == 0).sum() == 30
    assert (labels == 1).sum() == 10
    assert len(Cavga(SHAPE).sample(training_set(30, 2))[0]) == 30


def test_weak_supervision_without_an_anomalous_image_is_named() -> None:
    with pytest.raises(ConfigError, match="no anomalous training image"):
        Cavga(SHAPE, supervision="weak").sample(training_set(4, 0))
