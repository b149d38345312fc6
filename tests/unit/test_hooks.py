"""Hooks of the training loop: held-out error, best weights, patience, averages, and their place in the checkpoint."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from harness.errors import FitError
from harness.training.detector import Detector, Prediction
from harness.training.hooks import AveragedWeights, HeldOut
from harness.training.loop import Phase
from harness.training.progress import Progress
from tests.fits import make_run

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), np.uint8)


class Climber(Detector):
    """One number that grows by the learning rate in every step; a running count of batches as its buffer."""

    def __init__(self):
        super().__init__((1, 4, 4))
        self.height = nn.Parameter(torch.zeros(()))
        self.register_buffer("seen", torch.zeros(()))

    def fit(self, train, run, *hooks):
        def loss(batch):
            self.seen += 1
            return {"loss": -self.height}

        sgd = torch.optim.SGD(self.parameters(), run.training.learning_rate)
        run.loop(self, train, [Phase(sgd, loss)], hooks=hooks)

    def predict(self, images):
        return Prediction(None, images.mean((1, 2, 3)))


def climbing(folder: Path, **training):
    """Return a run of 10 epochs of two steps that climbs by one each step."""
    return make_run(folder, batch_size=4, images_seen=80, learning_rate=1.0, **training)


def off_seven(detector):
    """The error is lowest at a height of seven."""
    return lambda images: (detector.height - 7).abs().expand(len(images))


def test_the_detector_gets_the_weights_with_the_lowest_held_out_error(tmp_path):
    detector, run = Climber(), climbing(tmp_path)
    run.progress = Progress("test", tmp_path / "log.jsonl")
    detector.fit(IMAGES, run, HeldOut(IMAGES, off_seven(detector)))
    assert detector.height == 6  # an epoch has two steps, so 6 and 8 are seen and equally far; the earlier one is kept
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    errors = {line["validation_step"]: line["validation_error"] for line in lines if "validation_step" in line}
    assert errors == {step: abs(step - 7) for step in range(2, 21, 2)}


def test_patience_ends_the_training_and_its_loop_counts_as_done(tmp_path):
    detector, run = Climber(), climbing(tmp_path)
    detector.fit(IMAGES, run, HeldOut(IMAGES, off_seven(detector), patience=2))
    assert detector.seen == 6
    detector.train()
    last = Climber()
    last.fit(IMAGES, climbing(tmp_path / "last"), HeldOut(IMAGES, off_seven(last), patience=2, keep_best=False))
    assert last.seen == last.height == 10
    assert run.checkpoint.done == ["train"]


def test_a_share_of_the_run_may_stand_between_two_calls(tmp_path):
    detector, seen = Climber(), []
    hook = HeldOut(IMAGES, lambda images: seen.append(int(detector.height)) or torch.ones(len(images)), every=0.35)
    detector.fit(IMAGES, climbing(tmp_path), hook)
    assert seen == [7, 14, 20]


def test_without_held_out_images_it_says_what_to_set():
    with pytest.raises(FitError, match="set `validation: true`"):
        HeldOut(IMAGES[:0], lambda images: images)


def test_averages_are_the_means_that_their_names_promise(tmp_path):
    equal = Climber()
    equal.fit(IMAGES, climbing(tmp_path / "equal"), AveragedWeights(None))
    assert float(equal.height.detach()) == pytest.approx(np.mean(range(2, 21, 2)))
    moving, expected = Climber(), 1.0  # the average begins with the weights after the first step
    moving.fit(IMAGES, climbing(tmp_path / "moving"), AveragedWeights(0.9))
    for height in range(2, 21):
        expected = 0.9 * expected + 0.1 * height
    assert float(moving.height.detach()) == pytest.approx(expected, rel=1e-5)
    assert float(moving.seen) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("killed_after", [1, 5, 9, 15])
@pytest.mark.parametrize("kind", ["best", "moving", "equal"])
def test_a_killed_fit_goes_on_with_the_state_of_its_hooks(tmp_path, killed_after, kind):
    def hooked(detector):
        return {"best": HeldOut(IMAGES, off_seven(detector), patience=3), "moving": AveragedWeights(0.8)}.get(
            kind, AveragedWeights(None)
        )

    whole = Climber()
    whole.fit(IMAGES, climbing(tmp_path / "whole"), hooked(whole))
    run, killed = climbing(tmp_path / "killed"), Climber()
    run.checkpoint.seconds = 0.0
    save, saves = run.checkpoint._save, []

    def save_then_die(*arguments):
        save(*arguments)
        saves.append(1)
        if len(saves) == killed_after:
            raise KeyboardInterrupt

    run.checkpoint._save = save_then_die
    try:
        killed.fit(IMAGES, run, hooked(killed))
    except KeyboardInterrupt:
        killed = Climber()
        killed.fit(IMAGES, climbing(tmp_path / "killed"), hooked(killed))
    assert {k: float(v.detach()) for k, v in killed.state_dict().items()} == {
        k: float(v.detach()) for k, v in whole.state_dict().items()
    }
