"""The three hashes of a cell: recipe of its data, key of its fit, fingerprint of its record."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.data.layouts.registry import modules
from harness.records.code_digest import closure_digest
from harness.records.fingerprint import digest, join_keys, pick
from harness.settings import Settings

WEIGHTS_FOLDER = "CAVGA_WEIGHTS"
"""Environment variable: the folder with pretrained weights."""


def recipe_key(protocol: Mapping[str, Any], dataset: str, entry: Mapping[str, Any], size: int) -> str:
    """Return what the preparing of a dataset depends on, apart from its raw files."""
    return digest(
        {
            "code": closure_digest(("harness.data.prepare", *modules(entry))),
            "dataset": {key: value for key, value in entry.items() if key not in _DESCRIPTIVE},
            "protocol": pick(protocol, ["seeds", "validation_share", "weak_share"]),
            "prepared": protocol["datasets"][dataset] | {"size": size},
        }
    )


_DESCRIPTIVE = {"title", "citation", "licence", "mirrors", "access", "home", "ask"}


def fit_key(
    protocol: Mapping[str, Any], settings: Settings, dataset: str, category: str, seed: int, threads: int
) -> str:
    """Return the part of a fit's fingerprint that is known before its data are prepared: the name of its folder.

    `dataset` is the one really used (a stand-in's id). Two methods with equal settings share a fit.
    """
    module = settings.detector.partition(":")[0]
    content = {
        "code": closure_digest((module, "harness.training.fit", "harness.training.export")),
        "settings": vars(settings),
        "protocol": pick(protocol, ["id", "precision", "validation_share", "weak_share", "export_batch"]),
        "cell": [dataset, category, seed],
        "threads": threads,
        "weights": weights_at_hand(settings.options),
    }
    return digest(content)[:24]


def weights_at_hand(options: Mapping[str, Any]) -> list[str]:
    """Return the weight files that a pretrained method would find: with them it is another method than without."""
    folder = os.environ.get(WEIGHTS_FOLDER)
    if not folder or options.get("pretrained", "none") == "none" or not Path(folder).is_dir():
        return []
    return sorted(path.name for path in Path(folder).glob("*.pth"))


def record_fingerprint(protocol: Mapping[str, Any], method: Mapping[str, Any], key: str, data_digest: str) -> str:
    """Return the fingerprint of a record: its fit, the prepared data's content, and how it was measured."""
    return join_keys(key, data_digest, measuring_key(protocol, method))


def measuring_key(protocol: Mapping[str, Any], method: Mapping[str, Any]) -> str:
    """Return the hash of how maps and scores are measured: the measures' code, and every setting they read."""
    chosen = pick(method, ["threshold", "image_threshold", "score"])
    return digest([closure_digest(("harness.records.evaluate",)), protocol["measures"], chosen])
