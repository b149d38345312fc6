"""The contract that every entry of config/methods.yaml has to keep, on the demo protocol's embedded data."""

from __future__ import annotations

import importlib
from dataclasses import asdict

import numpy as np
import pytest
import torch

from harness.config import load_methods, merge
from harness.data.prepared import Prepared
from harness.errors import ConfigError
from harness.metrics.evaluate import evaluate
from harness.metrics.results import MeasureSettings
from harness.records.evaluate import map_policies
from harness.records.plan import Plan
from harness.tables.layout import required_cells
from harness.tables.spec import load_table, table_ids
from harness.training.checkpoint import Checkpoint
from harness.training.fit import fit
from harness.training.maps import MapsReader
from harness.training.maps_writer import range_of
from harness.training.predict import MapsFile
from harness.training.registry import build_detector

METHODS = sorted(name for name, method in load_methods().items() if method.reading_of is None)
TINY = {"images_seen": 24, "batch_size": 8}


def home(plan: Plan, method: str):
    """Return the first cell of any table that the method is meant for; of MVTec AD if it stands in no table."""
    for table in table_ids():
        for dataset, category, name in required_cells(plan, load_table(table)):
            if name == method:
                cell = plan.cell(dataset, category, method, 0)
                if plan.applies(cell):
                    return cell
    cells = [plan.cell("mvtec_ad", category, method, 0) for category in plan.categories("mvtec_ad")]
    return next(cell for cell in cells if plan.applies(cell))


class Case:
    """Fits and exports of one method on its home cell."""

    def __init__(self, plan, cell, prepared, folder):
        self.plan, self.cell, self.folder = plan, cell, folder
        self.entry = plan.methods[cell.method]
        self.settings = asdict(plan.settings(cell))
        self.size = plan.protocol.datasets[cell.dataset].size
        self.data, self.truth = prepared(cell), prepared(cell, self.size)
        self.outcome: dict | None = None

    def fit(
        self, name: str, seed: int = 0, tiny: bool = True, seconds: float = 1e9, maps: MapsFile | None = None
    ) -> dict:
        """Fit in a folder of its own."""
        settings = merge(self.settings, {"training": TINY}) if tiny else self.settings
        return fit(
            settings, self.data, self.folder / name, seed=seed, names=("contract",),
            device=torch.device("cpu"), precision="float32", checkpoint_seconds=seconds, maps=maps,
        )  # fmt: skip

    def weights(self, name: str) -> bytes:
        return (self.folder / name / "weights.safetensors").read_bytes()

    def demo_fit(self) -> tuple[dict, MapsReader]:
        """Fit and predict with the demo's own budget, once."""
        if self.outcome is None:
            self.outcome = self.fit("whole", tiny=False, maps=self.maps("whole"))
        assert self.outcome["status"] == "measured", self.outcome["log_tail"]
        return self.outcome, self.reader("whole")

    def maps(self, name: str, batch: int = 8, file: str = "maps.npz") -> MapsFile:
        return MapsFile(self.folder / name / file, self.size, batch)

    def reader(self, name: str) -> MapsReader:
        return MapsReader(self.folder / name / "maps.npz", self.entry.map)


# One worker runs all tests of a method, so that its demo fit is made once.
@pytest.fixture(scope="module", params=[pytest.param(m, marks=pytest.mark.xdist_group(m)) for m in METHODS])
def case(request, demo, prepared, tmp_path_factory):
    return Case(demo, home(demo, request.param), prepared, tmp_path_factory.mktemp(request.param))


def test_maps_and_scores_have_the_promised_shapes_and_ranges(case):
    marker, reader = case.demo_fit()
    prepared = Prepared.open(case.truth)
    excluded = prepared.manifest.weak_left_out["0"] if case.settings["weak"] else []
    count = len(prepared.test) - len(excluded)
    assert reader.test_index.shape == (count,)
    scores = reader.named_scores(case.entry.score)
    assert scores.shape == (count,)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 1, "every image has the same score"
    # without masks no map is owed: a latent of one cell has none
    assert ("maps" in case.entry.gives and prepared.masks is not None) <= reader.has_maps
    if reader.has_maps:
        assert reader.shape == (case.size, case.size)
        assert reader.high > reader.low
        low, high = range_of(marker["map_range"], reader.name) or (reader.low, reader.high)
        assert low <= reader.low <= reader.high <= high


def test_it_finds_planted_defects_better_than_chance_or_says_why_not(case):
    marker, reader = case.demo_fit()
    truth = Prepared.open(case.truth)
    index = reader.test_index
    result = evaluate(
        (lambda: (m for chunk in reader.chunks() for m in chunk)) if reader.has_maps else None,
        reader.low, reader.high, None if truth.masks is None else truth.masks[index],
        truth.test_labels[index], reader.named_scores(case.entry.score), None, None,
        MeasureSettings(map_policies=map_policies(case.entry, case.plan.protocol.measures, marker)),
    )  # fmt: skip
    values = {m.name: m.value for m in result.measures if m.policy is None}
    localises = truth.masks is not None and reader.has_maps
    value = values["pixel_auroc" if localises else "image_auroc"]
    assert value is not None
    honest = case.entry.below_chance_in_demo
    assert value > 0.5 or honest, f"{case.cell}: AuROC {value:.3f}; if that is the truth, its entry has to say why"


def test_one_seed_gives_the_same_bytes_and_two_seeds_differ(case):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        marker = case.fit(name, seed, maps=case.maps(name))
        assert marker["status"] == "measured", marker["log_tail"]
    assert case.weights("a") == case.weights("b")
    assert (case.folder / "a" / "maps.npz").read_bytes() == (case.folder / "b" / "maps.npz").read_bytes()
    assert case.weights("a") != case.weights("c") or case.entry.seedless


def test_a_killed_fit_resumes_to_the_bytes_of_an_uninterrupted_one(case, monkeypatch):
    save, saves = Checkpoint._save, []

    def save_then_die(self, *arguments):
        save(self, *arguments)
        saves.append(1)
        if len(saves) == 2:
            raise KeyboardInterrupt

    case.fit("reference")
    monkeypatch.setattr(Checkpoint, "_save", save_then_die)
    try:
        case.fit("killed", seconds=0.0)
    except KeyboardInterrupt:
        assert not (case.folder / "killed" / "weights.safetensors").exists()
    else:
        assert not saves, "only a method that has no training loop ends before its second checkpoint"
    monkeypatch.setattr(Checkpoint, "_save", save)
    case.fit("killed")
    assert case.weights("killed") == case.weights("reference")


def test_predictions_do_not_depend_on_the_batch(case):
    """Methods that search at test time draw per batch; all others must not look at their neighbours."""
    if case.entry.searches:
        pytest.skip("searches at test time with draws of its own")
    _, first = case.demo_fit()
    trained = (case.folder / "whole" / "weights.safetensors").stat().st_mtime_ns
    again = case.maps("whole", 3, "other_batch.npz")
    assert case.fit("whole", tiny=False, maps=again)["status"] == "measured"
    assert (case.folder / "whole" / "weights.safetensors").stat().st_mtime_ns == trained
    second = MapsReader(again.path, case.entry.map)
    np.testing.assert_allclose(first.scores, second.scores, rtol=2e-3, atol=1e-5)
    if first.has_maps:
        one = first.values(np.concatenate(list(first.chunks())))
        two = second.values(np.concatenate(list(second.chunks())))
        assert np.abs(one - two).max() <= 2e-3 * (first.high - first.low)


def test_an_unknown_option_is_named(case):
    with pytest.raises(ConfigError, match="unknown option 'no_such_option'"):
        build_detector(case.settings["detector"], (3, 64, 64), {"no_such_option": 1})


@pytest.mark.parametrize("method", METHODS)
def test_the_module_is_a_card(method):
    """A method's module says its source, what is certain, what is ours and where it deviates."""
    module = importlib.import_module(load_methods()[method].detector.partition(":")[0])
    for heading in ("Source:", "Certain:", "Ours:", "Deviations:"):
        assert heading in (module.__doc__ or ""), f"the docstring of {module.__name__} lacks the paragraph {heading}"


def test_images_of_32_pixels_are_neither_halved_nor_enlarged():
    plan = Plan.load("paper")
    cells = {cell for table in table_ids() for cell in required_cells(plan, load_table(table))}
    sides = {(d, m): plan.settings(plan.cell(d, c, m, 0)).size for d, c, m in cells}
    small = {place: side for place, side in sides.items() if plan.protocol.datasets[place[0]].size == 32}
    assert {place for place, side in small.items() if side != 32} == set()
    assert ("mnist", "anogan") in small


def test_methods_without_a_network_claim_no_initial_weights():
    origins = {}
    for method, entry in load_methods().items():
        module, _, name = entry.detector.partition(":")
        origins[method] = getattr(importlib.import_module(module), name).weights_origin
    assert {method for method, origin in origins.items() if origin == "no network"} == {"ti", "vm"}
