"""ImageNet weights from the user's own folder; never from the network.

`CAVGA_WEIGHTS` names a folder that holds `resnet18-f37072fd.pth`, the file that torchvision distributes.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.errors import DataError

if TYPE_CHECKING:
    from torchvision.models import ResNet

FOLDER_VARIABLE = "CAVGA_WEIGHTS"
RESNET18_FILE = "resnet18-f37072fd.pth"
RANDOM = "random initialisation"


def resnet18(pretrained: bool) -> tuple[ResNet, str]:
    """Return torchvision's ResNet-18 and where its weights came from.

    Where ImageNet weights are asked for and their file is not there, they stay random and the origin says so.
    Raises DataError when the file is there and damaged.
    """
    from torchvision.models import resnet18 as build_resnet18  # here: it takes over a second, and few methods need it

    network = build_resnet18(weights=None)
    if not pretrained:
        return network, RANDOM
    path = weights_path(RESNET18_FILE)
    if path is None:
        return (
            network,
            f"{RANDOM} (ImageNet weights were asked for; {RESNET18_FILE} is not in {FOLDER_VARIABLE})",
        )
    verify(path)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network, f"ImageNet (torchvision, {RESNET18_FILE})"


def weights_path(name: str) -> Path | None:
    """Return the weights' file, or None where the user has none."""
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    path = Path(folder) / name
    return path if path.is_file() else None


def verify(path: Path) -> None:
    """Raise DataError unless the file's SHA-256 begins with the eight digits in its name."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    wanted = path.stem.rpartition("-")[2]
    if not found.startswith(wanted):
        raise DataError(
            f"{path}: its SHA-256 begins with {found[:8]}, not {wanted}; download the file again or unset "
            f"{FOLDER_VARIABLE}"
        )
