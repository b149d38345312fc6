"""Every entry of config/datasets.yaml: complete, its layout loads, and the examples in config/examples work."""

from __future__ import annotations

import csv
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config import load_config, load_datasets, validate
from harness.data.availability import available
from harness.data.collection import UNUSED_FILES, UNUSED_IMAGES
from harness.data.layouts.registry import MODULES, layout, modules
from harness.data.sources import raw_folder
from harness.errors import ConfigError
from harness.paths import ROOT
from tests import painters
from tests.entries import bring

DATASETS = load_datasets(load_config({"data_root": None}))
PAPER = [name for name in DATASETS if not name.startswith("demo_") and DATASETS[name].categories]
REAL = os.environ.get("CAVGA_DATA")  # read before the tests' environment is cleaned
PUBLISHED = ROOT / "published"


@pytest.mark.parametrize("name", DATASETS)
def test_entry_says_licence_source_and_how_it_lies(name: str) -> None:
    entry = DATASETS[name]
    assert entry.licence
    assert entry.citation
    assert all(layout(kind).collect for kind in entry.layout)
    assert all((ROOT / module.replace(".", "/")).with_suffix(".py").exists() for module in modules(entry))
    if entry.access == "open":
        assert entry.mirrors, "an open dataset has a mirror"
    if entry.access in {"form", "password"}:
        assert entry.ask


def test_layouts_in_schema_and_registry_are_the_same() -> None:
    from harness.config import schema

    assert set(schema("datasets")["$defs"]["layout"]["enum"]) == set(MODULES)


def test_categories_are_those_of_the_printed_tables() -> None:
    with (PUBLISHED / "table3_iou.csv").open() as file:
        rows = [row["category"] for row in csv.DictReader(file)]
    assert list(DATASETS["mvtec_ad"].categories) == [row for row in rows if row != "mean"]
    totals = [category.counts or {} for category in DATASETS["mvtec_ad"].categories.values()]
    assert {key: sum(count[key] for count in totals) for key in totals[0]} == {
        "train": 3629, "test_normal": 467, "test_anomalous": 1258,
    }  # fmt: skip
    textures = [name for name, entry in DATASETS["mvtec_ad"].categories.items() if entry.kind == "texture"]
    assert sorted(textures) == ["carpet", "grid", "leather", "tile", "wood"]
    with (PUBLISHED / "table5_auroc_mstc.csv").open() as file:
        scenes = [row["scene"] for row in csv.DictReader(file)]
    assert list(DATASETS["mstc"].categories) == [scene for scene in scenes if scene != "mean"]


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "demo_digits", "demo_fashion", "demo_colour"])
def test_class_sets_come_under_both_protocols_and_share_their_files(name: str, tmp_path: Path) -> None:
    one, other = DATASETS[name], DATASETS[f"{name}_leave_one_out"]
    assert (one.class_protocol, other.class_protocol) == ("one_class", "leave_one_out")
    assert one.categories == other.categories
    assert list(one.categories) == [str(number) for number in range(10)]
    if one.access == "open":
        assert raw_folder(one, tmp_path) == raw_folder(other, tmp_path)


def test_digests_and_counts_are_those_that_torchvision_lists() -> None:
    from torchvision.datasets import CIFAR10, MNIST, FashionMNIST
    from torchvision.models import ResNet18_Weights

    for name, official in (("mnist", MNIST), ("fashion_mnist", FashionMNIST)):
        ours = {mirror.file: mirror.digest for mirror in DATASETS[name].mirrors}
        assert ours == {file: f"md5:{digest}" for file, digest in official.resources}
    assert DATASETS["cifar10"].mirrors[0].digest == f"md5:{CIFAR10.tgz_md5}"
    weights = DATASETS["resnet18_imagenet"].mirrors[0]
    assert weights.urls == (ResNet18_Weights.IMAGENET1K_V1.url,)
    assert weights.digest.removeprefix("sha256-prefix:") in weights.file


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST"])
def test_what_torchvision_has_downloaded_is_read_as_torchvision_reads_it(name: str, tmp_path: Path) -> None:
    import torchvision.datasets

    painters.idx(tmp_path / name / "raw", zipped=False)
    theirs = getattr(torchvision.datasets, name)(str(tmp_path), train=True)
    entry = DATASETS["mnist" if name == "MNIST" else "fashion_mnist"]
    ours = bring(entry, "3", tmp_path, tmp_path / "work", size=32, channels=1)
    assert (ours.train[:, 2:30, 2:30, 0] == theirs.data[theirs.targets == 3].numpy()).all()


def test_torchvisions_cifar_is_read_as_torchvision_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)  # painted files have other digests
    monkeypatch.setitem(CIFAR10.meta, "md5", None)
    folder = painters.cifar_batches(tmp_path / CIFAR10.base_folder)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [str(number) for number in range(10)]}))
    theirs = CIFAR10(str(tmp_path), train=False)
    ours = bring(DATASETS["cifar10"], "4", tmp_path, tmp_path / "work", size=32)
    assert (ours.test == theirs.data).all()
    assert (ours.test_labels == (np.array(theirs.targets) != 4)).all()


def mvtec_ad_2(folder: Path) -> None:
    """Paint one category as MVTec AD 2 lies: a public test set beside private ones, masks within it."""
    home = painters.mvtec(folder, "can")
    (home / "test").rename(home / "test_public")
    (home / "test_public/contamination").rename(home / "test_public/bad")
    shutil.rmtree(home / "test_public/broken")
    (home / "ground_truth/contamination").rename(home / "ground_truth/bad")
    shutil.rmtree(home / "ground_truth/broken")
    (home / "ground_truth").rename(home / "test_public/ground_truth")
    painters.save(home / "validation/good/000.png", painters.picture(200))
    painters.save(home / "test_private/000.png", painters.picture(201))


PAINTED: dict[str, tuple[str, str, Any]] = {
    "mvtec_ad": ("mvtec_ad", "bottle", painters.mvtec),
    "mvtec_ad_2": ("mvtec_ad_2", "can", mvtec_ad_2),
    "visa": ("visa", "cashew", painters.visa),
    "mstc": ("mstc", "02", painters.shanghaitech),
    "lag": ("lag", "fundus", painters.lag),
    "mnist": ("mnist", "7", painters.idx),
    "mnist_leave_one_out": ("mnist", "7", painters.idx),
    "fashion_mnist": ("fashion_mnist", "2", painters.idx),
    "fashion_mnist_leave_one_out": ("fashion_mnist", "2", painters.idx),
    "cifar10": ("cifar10", "1", painters.cifar_batches),
    "cifar10_leave_one_out": ("cifar10", "1", painters.cifar_batches),
}


@pytest.mark.parametrize("name", PAPER)
def test_official_layout_becomes_prepared_arrays(name: str, tmp_path: Path) -> None:
    folder, category, paint = PAINTED[name]
    entry, root = DATASETS[name], tmp_path / "root"
    assert available(entry, category, None, tmp_path / "work/raw" / name) is not None
    paint(root / folder)
    assert available(entry, category, root, tmp_path / "work/raw" / name) is None
    manifest = bring(entry, category, root, tmp_path / "work", size=32).manifest
    assert min(manifest.counts.values()) > 0
    assert not [line for line in manifest.warnings if line.startswith((UNUSED_FILES, UNUSED_IMAGES))]


def test_class_folders_of_cifar_are_named_as_its_classes(tmp_path: Path) -> None:
    names = [category.title for category in DATASETS["cifar10"].categories.values()]
    painters.class_tree(tmp_path / "root" / "cifar10", names, "jpg", train=3, test=1)
    manifest = bring(DATASETS["cifar10"], "9", tmp_path / "root", tmp_path / "work", size=32).manifest
    assert manifest.counts == {"train": 3, "test_normal": 1, "test_anomalous": 9}
    assert manifest.notes == ["lossy JPEG copies of a lossless dataset"]


def test_example_entries_of_own_data_work(tmp_path: Path) -> None:
    config = load_config({"extra_datasets": [str(ROOT / "config/examples/datasets.yaml")]})
    own = load_datasets(config)
    painters.archive(painters.mvtec(tmp_path / "paint", "hazelnut_toy"), tmp_path / "hazelnut_toy/hazelnut_toy.tar.gz")
    painters.table(tmp_path / "my_parts")
    painters.class_tree(tmp_path / "my_classes", ["nut", "bolt"])
    for name, category in (("hazelnut_toy", "hazelnut_toy"), ("my_parts", "my_parts"), ("my_classes", "1")):
        assert bring(own[name], category, tmp_path, tmp_path / "work").manifest.counts["train"] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"layout": "mvtek"}, "is not"),
        ({"mirrors": [{"file": "a", "urls": ["ftp://x/a"], "digest": "unverified"}]}, "does not match"),
        ({"mirrors": [{"file": "a", "urls": ["http://x/a"], "digest": "sha256:12"}]}, "does not match"),
        ({"mirrors": [{"file": "../a", "urls": ["http://x/a"], "digest": "unverified"}]}, "does not match"),
    ],
)
def test_wrong_entry_is_named(change: dict[str, Any], message: str) -> None:
    entry = {"title": "T", "layout": "mvtec", "access": "open", "categories": {"a": {"title": "A"}}}
    validate({"own": entry}, "datasets", "own.yaml")
    with pytest.raises(ConfigError, match=message):
        validate({"own": {**entry, **change}}, "datasets", "own.yaml")


def test_data_modules_start_without_torch_and_pandas() -> None:
    code = (
        "import sys, harness.data.availability, harness.data.fetch, harness.data.prepare, harness.training.maps;"
        "print([name for name in ('torch', 'pandas', 'requests', 'av', 'skimage') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.real
def test_real_bottle_has_the_published_counts(tmp_path: Path) -> None:
    if not REAL or available(DATASETS["mvtec_ad"], "bottle", Path(REAL), tmp_path / "raw"):
        pytest.skip("CAVGA_DATA names no folder with bottle")
    manifest = bring(DATASETS["mvtec_ad"], "bottle", Path(REAL), tmp_path, size=32, cores=2).manifest
    assert manifest.counts == {"train": 209, "test_normal": 20, "test_anomalous": 63}
    assert manifest.warnings == []
