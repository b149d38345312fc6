"""The embedded stand-ins: deterministic, exact masks, no overlap of training and test, in the official layout."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.config import load_config, load_datasets
from harness.data.demo import photographs, scenes, textures
from harness.data.demo.defects import KINDS
from harness.data.demo.painting import generator
from harness.data.demo.write import write_tree
from harness.data.prepare import prepare
from harness.data.prepared import Prepared
from harness.data.preparing import Preparing
from harness.dataset import Category
from tests.entries import bring

DATASETS = load_datasets(load_config({"data_root": None}))
DEMO = {name: entry for name, entry in DATASETS.items() if entry.embedded}


def prepared(name: str, category: str, folder: Path, size: int = 32, channels: int = 3) -> Prepared:
    prepare(DEMO[name], category, Path("none"), folder, Preparing(size, channels))
    return Prepared.open(folder)


@pytest.mark.parametrize("name", DEMO)
def test_every_stand_in_prepares_and_says_what_it_is(tmp_path: Path, name: str) -> None:
    assert DEMO[name].title.startswith("stand-in for ")
    category = next(iter(DEMO[name].categories))
    data = prepared(name, category, tmp_path / "a")
    counts = data.manifest.counts
    assert counts["train"] >= 30
    assert counts["test_anomalous"] >= 15
    assert counts["test_normal"] >= 15
    if DEMO[name].masks is not False:
        assert data.masks is not None
        assert not data.masks[~data.test_labels].any()
        assert data.masks[data.test_labels].any(axis=(1, 2)).mean() > 0.9


def test_one_seed_gives_the_same_bytes_and_images_differ(tmp_path: Path) -> None:
    first = prepared("demo_textures", "brick", tmp_path / "a")
    second = prepared("demo_textures", "brick", tmp_path / "b")
    assert first.manifest.digest == second.manifest.digest
    assert (first.folder / "test.npy").read_bytes() == (second.folder / "test.npy").read_bytes()
    everything = [*map(bytes, first.train), *map(bytes, first.test)]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize(
    ("name", "category", "digest"),
    [
        ("demo_textures", "brick", "f8c23edb6f5794fe"),
        ("demo_textures", "nut", "b1c985743bccb94d"),
        ("demo_scenes", "03", "3efa3c7256f9e9c4"),
    ],
)
def test_pixels_are_the_same_on_every_machine(tmp_path: Path, name: str, category: str, digest: str) -> None:
    data = prepared(name, category, tmp_path / "a")
    assert data.masks is not None
    pixels = hashlib.sha256(data.train.tobytes() + data.test.tobytes() + data.masks.tobytes()).hexdigest()
    assert pixels[:16] == digest, "the painting changed; if that is meant, accepted demo records are stale"


def test_training_and_test_squares_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = np.broadcast_to((np.arange(512) // 4).astype(np.uint8), (512, 512))
    monkeypatch.setattr(textures, "photograph", lambda name: Image.fromarray(columns))
    monkeypatch.setattr(textures, "brighten", lambda pixels, percent: pixels)
    images = list(textures.paint("brick", {"photograph": "brick.png", "tint": [100, 100, 100]}))
    train = np.stack([image.pixels for image in images if image.split == "train"])
    normal = np.stack([image.pixels for image in images if image.label == "good" and image.split == "test"])
    assert train.max() < normal.min()


def test_squares_of_a_photograph_do_not_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    places = np.arange(300 * 400, dtype=np.uint32).reshape(300, 400)
    image = Image.fromarray(np.stack([places >> 16, places >> 8 & 255, places & 255], axis=-1).astype(np.uint8))
    monkeypatch.setattr(photographs, "photograph", lambda name: image)
    cuts: list[tuple[int, ...]] = []
    original = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda self, *args: cuts.append(args[2]) or original(self, *args))
    photographs.classes([{"photograph": "not the real one"}])
    assert len(cuts) == photographs.TRAIN + photographs.TEST
    covered = np.zeros((300, 400), int)
    for left, top, right, bottom in cuts:
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shade", [40, 200])
def test_masks_of_defects_are_exact(kind: str, shade: int) -> None:
    plain = np.full((128, 128, 3), shade, np.uint8)
    pixels, mask = KINDS[kind](plain, (64.0, 64.0), generator("test", kind))
    changed = abs(pixels.astype(int) - shade).max(axis=-1)
    assert 40 < mask.sum() < 4000
    assert (changed[mask] > 0).mean() > 0.97, "the mask covers pixels that look as before"
    strong = changed > 0.65 * changed.max()  # less is a soft edge, or the shadow of a thread
    assert (mask | ~strong).all(), "a clearly changed pixel is not in the mask"


def test_moving_intruder_is_the_only_anomaly() -> None:
    images = list(scenes.paint("02", {}))
    assert all(image.mask is None for image in images if image.split == "train")
    test = [image for image in images if image.split == "test"]
    assert all(image.anomalous == bool(image.mask.any()) for image in test if image.mask is not None)
    assert {image.label for image in test} == {"normal", "bicycle", "cart", "boxes"}
    clip = [image for image in test if "02_0001" in image.name and image.anomalous]
    centres = [float(np.flatnonzero(image.mask.any(axis=0)).mean()) for image in clip if image.mask is not None]
    assert centres == sorted(centres), "the intruder crosses from left to right"


def test_written_tree_has_the_official_layout(tmp_path: Path) -> None:
    entry = DEMO["demo_textures"]
    write_tree(entry, "gravel", tmp_path / "root" / "mvtec_ad")
    official = replace(DATASETS["mvtec_ad"], categories={"gravel": Category(title="Gravel", kind="texture")})
    written = bring(official, "gravel", tmp_path / "root", tmp_path / "work", size=32)
    embedded = prepared("demo_textures", "gravel", tmp_path / "a")
    assert (written.train == embedded.train).all()
    assert (written.test == embedded.test).all()
    assert written.masks is not None
    assert (written.masks == embedded.masks).all()
    assert written.manifest.counts == embedded.manifest.counts


def test_defects_are_seen_by_a_simple_detector(tmp_path: Path) -> None:
    """A linear reconstruction must beat chance and must not be perfect: else the demo shows nothing."""
    data = prepared("demo_textures", "gravel", tmp_path / "a", 32)
    train, test = (np.asarray(part).reshape(len(part), -1) / 255.0 for part in (data.train, data.test))
    mean = train.mean(axis=0)
    basis = np.linalg.svd(train - mean, full_matrices=False)[2][:16]
    error = (test - mean - (test - mean) @ basis.T @ basis) ** 2
    pixels = error.reshape(data.test.shape).mean(axis=-1)
    assert data.masks is not None
    inside, outside = pixels[data.masks > 0], pixels[data.masks == 0]
    ranks = np.searchsorted(np.sort(outside), inside) / len(outside)
    assert 0.65 < ranks.mean() < 0.97
