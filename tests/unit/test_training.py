"""The training loop: counter-based randomness, resume to identical bytes, accumulation, failures."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import ConfigError, FitError
from harness.training.checkpoint import Checkpoint
from harness.training.detector import Detector, Prediction
from harness.training.loop import Phase, Run, sample_order
from harness.training.progress import Progress
from harness.training.schedule import Augmentation, Training
from harness.training.state import load_state, save_state

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)


class Toy(Detector):
    """Two phases on two networks, with dropout, so that random streams and both optimisers matter."""

    def __init__(self, shape, poison_at=None):
        super().__init__(shape)
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Dropout(0.5), nn.BatchNorm2d(4))
        self.second = nn.Conv2d(4, 1, 1)
        self.poison_at = poison_at

    def fit(self, train, run):
        one = torch.optim.Adam(self.first.parameters(), run.training.learning_rate)
        two = torch.optim.Adam(self.second.parameters(), run.training.learning_rate)

        def loss_one(batch):
            out = self.first(batch.images)
            batch.shared["out"] = out.detach()
            value = out.square().mean() + self.second(out).mean()
            if batch.step == self.poison_at:
                value = value * float("nan")
            return {"loss": value}

        def loss_two(batch):
            return {"loss": self.second(batch.shared["out"]).square().mean() + torch.rand(()) * 0}

        run.loop(self, train, [Phase(one, loss_one), Phase(two, loss_two)])

    def predict(self, images):
        maps = self.second(self.first(images))[:, 0]
        return Prediction(maps, maps.mean((1, 2)))


def make_run(folder: Path, seed: int = 1, seconds: float = 1e9, **training) -> Run:
    settings = {"batch_size": 4, "images_seen": 48, "augmentation": Augmentation(rotation=10)} | training
    checkpoint = Checkpoint(folder / "checkpoint.pt", seconds)
    return Run(torch.device("cpu"), "float32", seed, Training(**settings), checkpoint, Progress("test"))


def fit(folder: Path, seed: int = 1, run: Run | None = None, **options) -> bytes:
    run = run or make_run(folder, seed)
    run.reseed("build")
    toy = Toy((3, 8, 8), **options)
    toy.fit(IMAGES, run)
    save_state(toy, folder / "weights.safetensors")
    return (folder / "weights.safetensors").read_bytes()


def test_one_seed_gives_the_same_bytes_and_two_seeds_differ(tmp_path):
    assert fit(tmp_path / "a") == fit(tmp_path / "b")
    assert fit(tmp_path / "a") != fit(tmp_path / "c", seed=2)


def test_the_result_does_not_depend_on_earlier_random_draws(tmp_path):
    reference = fit(tmp_path / "a")
    torch.rand(17)
    np.random.default_rng().random(3)
    assert fit(tmp_path / "b") == reference


@pytest.mark.parametrize("killed_after", [1, 5, 11])
def test_a_killed_fit_resumes_to_the_bytes_of_an_uninterrupted_one(tmp_path, killed_after):
    reference = fit(tmp_path / "whole")
    run = make_run(tmp_path / "killed", seconds=0.0)
    save = run.checkpoint._save
    saves = 0

    def save_then_die(*arguments):
        nonlocal saves
        save(*arguments)
        saves += 1
        if saves == killed_after:
            raise KeyboardInterrupt

    run.checkpoint._save = save_then_die
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "killed", run=run)
    assert fit(tmp_path / "killed") == reference


def test_sigterm_saves_after_the_step_and_leaves_with_143(tmp_path):
    run = make_run(tmp_path)
    run.checkpoint._on_terminate()
    with pytest.raises(SystemExit) as info:
        fit(tmp_path, run=run)
    assert info.value.code == 143
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 1


def test_a_finished_loop_is_skipped_on_resume(tmp_path):
    run = make_run(tmp_path, seconds=0.0)
    reference = fit(tmp_path, run=run)
    resumed = make_run(tmp_path)
    assert fit(tmp_path, run=resumed) == reference
    assert resumed.checkpoint.done == ["train"]


def test_a_loss_that_is_not_finite_is_a_fit_error_naming_the_step(tmp_path):
    with pytest.raises(FitError, match="not finite at step 11 of train"):
        fit(tmp_path, poison_at=11)


def test_a_phase_moves_only_its_own_network(tmp_path):
    run = make_run(tmp_path, images_seen=4)
    run.reseed("build")
    toy = Toy((3, 8, 8))
    before = {k: v.clone() for k, v in toy.state_dict().items()}
    only_first = torch.optim.SGD(toy.first.parameters(), 0.1)
    run.loop(toy, IMAGES, [Phase(only_first, lambda b: {"loss": toy.second(toy.first(b.images)).square().mean()})])
    after = toy.state_dict()
    assert not torch.equal(after["first.0.weight"], before["first.0.weight"])
    assert torch.equal(after["second.weight"], before["second.weight"])
    assert toy.second.weight.grad is None


def test_accumulated_micro_batches_give_the_whole_batch_gradient(tmp_path):
    results = []
    for parts in (1, 2):
        run = make_run(tmp_path / str(parts), images_seen=4, augmentation=Augmentation())
        run.micro_batches = parts
        run.reseed("build")
        toy = Toy((3, 8, 8))
        optimizer = torch.optim.SGD(toy.second.parameters(), 0.1)
        run.loop(
            toy,
            IMAGES,
            [
                Phase(
                    optimizer,
                    lambda b, t=toy: {"loss": t.second(b.images.mean(1, True).expand(-1, 4, -1, -1)).square().mean()},
                )
            ],
        )
        results.append(toy.second.weight.detach().clone())
    torch.testing.assert_close(results[0], results[1])


def test_memory_exhaustion_halves_the_physical_batch_and_keeps_going(tmp_path):
    run = make_run(tmp_path, images_seen=8)
    toy = Toy((3, 8, 8))
    sizes = []

    def loss(batch):
        if len(batch.images) > 2:
            raise torch.cuda.OutOfMemoryError
        sizes.append(len(batch.images))
        return {"loss": toy.first(batch.images).square().mean()}

    run.loop(toy, IMAGES, [Phase(torch.optim.SGD(toy.first.parameters(), 0.1), loss)])
    assert run.micro_batches == 2
    assert sizes == [2, 2, 2, 2]


def test_sample_order_sees_every_image_once_per_round_and_is_a_pure_function_of_position():
    whole = sample_order(7, 0, 21, 3, "x")
    assert [sorted(whole[i : i + 7]) for i in (0, 7, 14)] == [list(range(7))] * 3
    parts = np.concatenate([sample_order(7, start, 5, 3, "x") for start in (0, 5, 10, 15)])
    assert np.array_equal(parts, whole[:20])


def test_rates_fall_by_the_factor_at_every_fifth_of_the_run():
    plan = Training(epochs=150, lr_decay_every=0.2, lr_factor=0.1)
    assert [round(plan.rate_factor(e / 150), 8) for e in (0, 29, 30, 59, 60, 120, 149)] == [
        1,
        1,
        0.1,
        0.1,
        0.01,
        0.0001,
        0.0001,
    ]


def test_a_method_that_nobody_gave_a_budget_or_an_augmentation_is_refused_in_one_line(tmp_path):
    for left_out, message in (("images_seen", "no budget"), ("augmentation", "no training.augmentation")):
        run = make_run(tmp_path)
        run.training = replace(run.training, **{left_out: None})
        with pytest.raises(ConfigError, match=message) as caught:
            fit(tmp_path, run=run)
        assert "\n" not in str(caught.value)


def test_rates_warm_up_from_zero_and_fall_as_a_cosine():
    plan = Training(schedule="cosine", warm_up=0.2)
    assert [round(plan.rate_factor(f), 6) for f in (0, 0.1, 0.2, 0.6, 1)] == [0, 0.5, 1, 0.5, 0]
    steps = Training(schedule="step", warm_up=0.5, lr_decay_every=0.5, lr_factor=0.1)
    assert [round(steps.rate_factor(f), 6) for f in (0.25, 0.5, 0.74, 0.75)] == [0.5, 1, 1, 0.1]


def test_buffers_that_get_their_shape_in_fit_are_saved_and_loaded(tmp_path):
    fresh, learnt = nn.Module(), nn.Module()
    for module in (fresh, learnt):
        module.register_buffer("centres", torch.empty(0))
    learnt.register_buffer("centres", torch.arange(6.0).view(3, 2))
    save_state(learnt, tmp_path / "w.safetensors")
    load_state(fresh, tmp_path / "w.safetensors")
    assert torch.equal(fresh.centres, learnt.centres)
