"""`sides` of config/methods.yaml says what the detectors take: no more, no less."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.config import load_methods, merge
from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.sides import refused, sides_for
from harness.training.checkpoint import Checkpoint
from harness.training.detector import TrainingSet
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.registry import build_detector
from harness.training.schedule import Training

PLACES = (("mvtec_ad", "object"), ("mvtec_ad", "texture"), ("mnist", "object"), ("cifar10", "object"))
METHODS = load_methods()
BUILT = ("options", "by_dataset", "sides")
"""A reading with these of its method builds what that one builds."""
LARGEST = 288
"""Networks for larger images are not made here."""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.load("demo")


def cases(plan, method):
    """Yield kind, settings and declared sides of the places that a method is meant for, each that differs once."""
    entry, seen = plan.methods[method], set()
    for dataset, kind in PLACES:
        found = (plan.cell(dataset, name, method, 0) for name in plan.categories(dataset))
        for cell in [cell for cell in found if plan.kind(cell) == kind and plan.applies(cell)][:1]:
            settings = plan.settings(cell)
            sides = sides_for(plan.protocol, entry, dataset, cell.category, kind)
            one = json.dumps([settings.options, settings.channels, sides])
            if one not in seen:
                seen.add(one)
                yield kind, settings, sides


def edges(sides):
    """Return sides where what is declared begins or ends, and those beside them."""
    found = {8, 31, 100}
    for part in sides:
        start, *step = map(int, str(part).split("+"))
        found |= {start - 1, start, start + 1, *(start + each for each in step)}
    return sorted(side for side in found if 4 <= side <= LARGEST)


def patch_of(entry, settings):
    return settings.options.get("patch") if entry.sides_of == "patch" else None


def with_side(entry, settings, side):
    """Return settings of images, or of patches where a method declares those, of a side."""
    if patch_of(entry, settings) is None:
        return replace(settings, size=side)
    return replace(settings, size=max(settings.size, side), options=merge(settings.options, {"patch": side}))


def build(settings):
    options = {"encoder_weights": "none"} if "encoder_weights" in settings.options else {}
    shape = (settings.channels, settings.size, settings.size)
    return build_detector(settings.detector, shape, merge(settings.options, options))


def fit_and_predict(settings, kind, folder):
    """One step of training on noise, and the maps of two images."""
    draw, size = np.random.default_rng(0), settings.size

    def images(count):
        return draw.integers(0, 256, (count, size, size, settings.channels), dtype=np.uint8)

    detector = build(settings)
    trains = "augmentation" in settings.training
    training = merge(settings.training, {"images_seen": 4, "batch_size": 4, "epochs": None} if trains else {})
    run = Run(
        torch.device("cpu"), "float32", 0, Training.from_config(training),
        Checkpoint(folder / "checkpoint.pt", 1e9), Progress("fit", folder / "log.jsonl"),
    )  # fmt: skip
    run.prepare(detector)
    masks = np.ones((2, size, size), np.uint8)
    detector.fit(TrainingSet(images(8), np.arange(8) % 2, images(2), images(4), kind, masks, ("a", "b")), run)
    with torch.no_grad():
        detector.eval().predict(torch.rand(2, settings.channels, size, size))


def fails(settings, kind, folder):
    try:
        fit_and_predict(settings, kind, folder)
    except (ConfigError, RuntimeError):
        return True
    return False


def builds_its_own(entry):
    base = METHODS.get(entry.reading_of, None)
    return base is None or any(getattr(entry, key) != getattr(base, key) for key in BUILT)


@pytest.mark.parametrize("method", sorted(name for name, entry in METHODS.items() if builds_its_own(entry)))
def test_what_is_declared_is_what_the_detector_takes(plan, method, tmp_path):
    """The smallest side is fitted; larger ones are built; what is refused while planning does fail."""
    entry = plan.methods[method]
    for kind, settings, sides in cases(plan, method):
        tried = {side: with_side(entry, settings, side) for side in edges(sides)}
        reasons = {side: refused(entry, sides, given) for side, given in tried.items()}
        taken = [side for side, reason in reasons.items() if reason is None]
        fit_and_predict(tried[taken[0]], kind, tmp_path)
        for side in taken[1:]:
            build(tried[side])
        for side in tried.keys() - set(taken):
            assert fails(tried[side], kind, tmp_path), f"side {side} can be taken; yet planning says: {reasons[side]}"


@pytest.mark.parametrize("method", sorted(name for name, entry in METHODS.items() if entry.sides_of == "patch"))
def test_a_patch_has_to_lie_within_the_image(plan, method, tmp_path):
    entry = plan.methods[method]
    for kind, settings, sides in cases(plan, method):
        patch = patch_of(entry, settings)
        if patch is not None:
            small = replace(settings, size=patch - 1)
            reason = refused(entry, sides, small)
            assert reason == (
                f"{entry.title}: patches of {patch} pixels are larger than its images of {patch - 1};"
                " lower its option `patch`"
            )
            with pytest.raises(ConfigError, match="larger than"):
                fit_and_predict(small, kind, tmp_path)


@pytest.mark.parametrize("protocol", ["paper", "lite", "demo"])
def test_no_cell_of_our_protocols_is_refused(protocol):
    plan = Plan.load(protocol)
    for method, entry in plan.methods.items():
        for dataset in plan.protocol.datasets:
            for cell in (plan.cell(dataset, name, method, 0) for name in plan.categories(dataset)):
                sides = sides_for(plan.protocol, entry, dataset, cell.category, plan.kind(cell))
                assert not plan.applies(cell) or refused(entry, sides, plan.settings(cell)) is None, cell
