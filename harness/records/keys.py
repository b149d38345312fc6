"""The hashes of a cell: recipe of its data, key of its fit, key of its measuring."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.cell import Cell, Method, Protocol, Settings
from harness.data.layouts.registry import modules
from harness.dataset import Dataset
from harness.records.code_digest import closure_digest
from harness.records.fingerprint import digest

WEIGHTS_FOLDER = "CAVGA_WEIGHTS"
"""Environment variable: the folder with pretrained weights."""
_DESCRIPTIVE = {"title", "citation", "licence", "mirrors", "access", "home", "ask"}


def recipe_key(protocol: Protocol, dataset: str, entry: Dataset, size: int) -> str:
    """Return what the preparing of a dataset depends on, apart from its raw files."""
    return digest(
        {
            "code": closure_digest(("harness.data.prepare", *modules(entry))),
            "dataset": {key: value for key, value in entry.given().items() if key not in _DESCRIPTIVE},
            "protocol": [protocol.seeds, protocol.validation_share, protocol.weak_share],
            "prepared": protocol.datasets[dataset].given() | {"size": size},
        }
    )


def fit_key(protocol: Protocol, settings: Settings, cell: Cell) -> str:
    """Return the part of a fit's fingerprint that is known before its data are prepared: the name of its folder.

    Two methods with equal settings share a fit.
    """
    module = settings.detector.partition(":")[0]
    content = {
        "code": closure_digest((module, "harness.training.fit")),
        "settings": settings.given(),
        "protocol": [protocol.id, protocol.precision, protocol.validation_share, protocol.weak_share],
        "batch": protocol.export_batch,
        "cell": [cell.source, cell.category, cell.seed],
        "threads": protocol.threads,
        "weights": weights_at_hand(settings.options),
    }
    return digest(content)[:24]


def weights_at_hand(options: Mapping[str, Any]) -> list[str]:
    """Return the weight files that a pretrained method would find: with them it is another method than without."""
    folder = os.environ.get(WEIGHTS_FOLDER)
    if not folder or options.get("pretrained", "none") == "none" or not Path(folder).is_dir():
        return []
    return sorted(path.name for path in Path(folder).glob("*.pth"))


def measuring_key(protocol: Protocol, method: Method) -> str:
    """Return the hash of how maps and scores are measured: the measures' code, and every setting they read."""
    chosen = [
        method.threshold,
        method.image_threshold,
        method.score,
        method.map,
        method.validation,
        method.empty_when_normal,
    ]
    return digest([closure_digest(("harness.records.evaluate",)), protocol.measures.given(), chosen])
