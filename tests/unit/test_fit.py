"""One function fits and predicts: what it writes, what it does not do twice, what it says when something is wrong."""

import json
import shutil
from typing import ClassVar

import numpy as np
import pytest
import torch

from harness.data.prepared import SCHEMA, Prepared
from harness.errors import ConfigError, EvidenceError
from harness.training import fit as module
from harness.training.detector import Detector, Prediction
from harness.training.fit import fit
from harness.training.maps import MapsReader
from harness.training.predict import MapsFile

SIZE = 8


class Mean(Detector):
    """Learns the mean image in one line, and remembers what it was given."""

    map_range: ClassVar = {"far": (0.0, 2.0)}
    given: ClassVar = []

    def __init__(self, shape, *, scale: float = 1.0):
        super().__init__(shape)
        self.scale = scale
        self.register_buffer("mean", torch.empty(0))

    def fit(self, train, run):
        if self.scale < 0:
            raise ValueError("scale\nis negative")
        self.given.append(train)
        self.mean = run.images(train.images).mean(0)

    def predict(self, images):
        error = (images - self.mean).abs().mean(1)
        return Prediction({"far": error.clamp(0, 2), "square": error.square()}, {"most": error.amax((1, 2))})


@pytest.fixture
def data(tmp_path):
    """A prepared folder: six normal images; four test images, two anomalous, of which one is moved to training."""
    folder, random = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    np.save(folder / "train.npy", random.integers(0, 9, (6, SIZE, SIZE, 1), np.uint8))
    test, masks = random.integers(0, 9, (4, SIZE, SIZE, 1), np.uint8), np.zeros((4, SIZE, SIZE), np.uint8)
    test[2:, :3], masks[2:, :3] = 250, 1
    np.save(folder / "test.npy", test)
    np.save(folder / "masks.npy", masks)
    rows = [f"train,{n},t{n},good,False,," for n in range(6)]
    rows += [f"test,{n},e{n},{'good' if n < 2 else 'stain'},{n >= 2},," for n in range(4)]
    head = "split,index,id,label,anomalous,source_digest,mask_digest"
    (folder / "images.csv").write_text("\n".join([head, *rows]) + "\n")
    manifest = {
        "schema": SCHEMA,
        "dataset": "parts",
        "category": "bottle",
        "counts": {"train": 6, "test_normal": 2, "test_anomalous": 2},
        "kind": "object",
        "digest": "d",
        "validation": {"0": [1]},
        "weak": {"0": [3]},
        "weak_left_out": {"0": [3]},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def run(tmp_path, data, monkeypatch):
    """Return a function that fits in one folder and gives the marker."""
    monkeypatch.setattr(Mean, "given", [])

    def call(name="fit", seed=0, auxiliary=None, maps=True, **options):
        settings = {
            "detector": f"{__name__}:Mean", "options": options, "training": {"images_seen": 4}, "channels": 1,
            "size": SIZE, "validation": True, "weak": True,
        }  # fmt: skip
        target = MapsFile(tmp_path / name / "maps.npz", 2 * SIZE, 3) if maps else None
        return fit(
            settings, data, tmp_path / name, seed=seed, names=("d", "c"), device=torch.device("cpu"),
            precision="float32", checkpoint_seconds=1e9, maps=target, auxiliary=auxiliary,
        )  # fmt: skip

    return call


def test_one_call_leaves_weights_and_every_named_map_and_score(run, tmp_path):
    marker = run()
    assert marker["status"] == "measured", marker["log_tail"]
    assert marker["export"]["images_per_s"] > 0
    readers = {name: MapsReader(tmp_path / "fit" / "maps.npz", name) for name in ("far", "square")}
    far, square = (reader.values(np.concatenate(list(reader.chunks()))) for reader in readers.values())
    assert far.shape == (3, 2 * SIZE, 2 * SIZE)
    assert list(readers["far"].test_index) == [0, 1, 2]
    assert (readers["far"].low, readers["far"].high) == (0.0, 2.0)
    assert readers["square"].high == pytest.approx(square.max())
    corner = np.s_[:, 0, 0]  # not touched by resizing
    np.testing.assert_allclose(square[corner], far[corner] ** 2, atol=1e-4)
    validation = next(readers["far"].chunks("validation"))
    assert len(validation) == 1
    np.testing.assert_allclose(readers["far"].named_scores("most")[2], far[2].max(), atol=1e-2)


def test_a_map_that_the_fit_does_not_give_is_named_with_those_it_gives(run, tmp_path):
    run()
    for name in (None, "near"):
        with pytest.raises(EvidenceError, match=f"no map '{name or ''}'; this fit gives: far, square"):
            MapsReader(tmp_path / "fit" / "maps.npz", name)


def test_weights_that_are_there_are_not_trained_again(run, tmp_path):
    first = run()
    maps = (tmp_path / "fit" / "maps.npz").read_bytes()
    (tmp_path / "fit" / "maps.npz").unlink()
    again = run()
    assert len(Mean.given) == 1
    assert again["seconds"] == first["seconds"]
    assert (tmp_path / "fit" / "maps.npz").read_bytes() == maps


@pytest.mark.parametrize("change", ["seed", "options", "data", "damaged", "half written"])
def test_weights_of_anything_else_are(run, tmp_path, data, change):
    run(seed=0)
    weights = tmp_path / "fit" / "weights.safetensors"
    if change == "data":
        manifest = json.loads((data / "manifest.json").read_text())
        (data / "manifest.json").write_text(json.dumps(manifest | {"digest": "e"}))
    if change == "damaged":
        weights.write_bytes(weights.read_bytes()[:-1])
    if change == "half written":
        (tmp_path / "fit" / "trained.json").write_text('{"identity"')
    manifest = json.loads((data / "manifest.json").read_text())
    manifest |= {
        "validation": {"0": [1], "1": [2]},
        "weak": {"0": [3], "1": [2]},
        "weak_left_out": {"0": [3], "1": [2]},
    }
    (data / "manifest.json").write_text(json.dumps(manifest))
    assert run(seed=int(change == "seed"), **({"scale": 2.0} if change == "options" else {}))["status"] == "measured"
    assert len(Mean.given) == 2


def test_the_training_set_says_what_the_anomalous_images_show(run, tmp_path, data):
    shutil.copytree(data, tmp_path / "other")
    run(auxiliary=tmp_path / "other")
    (train,) = Mean.given
    assert len(train.images) == 5
    assert train.anomalous_kinds == ("stain",)
    assert np.array_equal(train.anomalous_masks, Prepared.open(data).masks[[3]])
    assert train.auxiliary.shape == (6, SIZE, SIZE, 1)
    run("alone", maps=False)
    assert Mean.given[1].auxiliary is None
    assert not (tmp_path / "alone" / "maps.npz").exists()


def test_a_failure_is_one_line_and_a_wrong_configuration_is_raised(run):
    marker = run(scale=-1.0)
    assert (marker["status"], marker["reason"]) == ("failed", "ValueError: scale is negative")
    with pytest.raises(ConfigError, match="unknown option 'speed'"):
        run(speed=1)


def test_a_failed_prediction_keeps_the_weights(run, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "write_maps", lambda *_: (_ for _ in ()).throw(MemoryError()))
    assert run()["status"] == "failed"
    monkeypatch.undo()
    assert run()["status"] == "measured"
    assert (tmp_path / "fit" / "maps.npz").exists()


def test_sigterm_is_only_held_back_while_a_checkpoint_can_be_written(run, monkeypatch):
    import signal

    seen = []
    monkeypatch.setattr(Mean, "predict", lambda *_: seen.append(signal.getsignal(signal.SIGTERM)) or 1 / 0)
    before = signal.getsignal(signal.SIGTERM)
    run()
    assert seen == [before]
