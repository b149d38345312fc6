"""What a number depends on, as hashes of content: never of dates, paths or commits.

A fit depends on the code that trains and predicts (the method's module and what it imports of the numeric core) and on
its inputs (settings, cell, threads); a measurement on the code of the measures and on their settings. Code and
inputs are kept apart, so that a change of code that changes no number can be shown to be one (`accept --rekey`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from harness.cell import Cell, Method, Protocol, Settings
from harness.data.layouts.registry import modules
from harness.dataset import Dataset
from harness.records.code_digest import code_digest

NUMERIC_CORE = ("cavga", "baselines", "harness.training")
"""Where the code lives that a weight or a map can depend on."""
FIT, EVALUATE = "harness.training.fit", "harness.metrics.evaluate"
_DESCRIPTIVE = {"title", "citation", "licence", "mirrors", "access", "home", "ask"}


def digest(content: Any) -> str:
    """Return the sha256 of a JSON-like value, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Keys:
    """What a cell's number depends on, apart from its data."""

    fit_code: str
    fit_inputs: str
    measuring_code: str
    measuring_inputs: str

    @property
    def fit_key(self) -> str:
        """Return the name of the fit's folder. Two methods with equal settings share a fit."""
        return digest([self.fit_code, self.fit_inputs])[:24]

    @property
    def measuring_key(self) -> str:
        """Return the hash of how the fit's maps and scores are measured."""
        return digest([self.measuring_code, self.measuring_inputs])

    def fingerprint(self, data_digest: str) -> str:
        """Return the fingerprint of a record: which fit, on which data's content, measured how."""
        return digest([self.fit_key, data_digest, self.measuring_key])


def keys_of(protocol: Protocol, method: Method, settings: Settings, cell: Cell) -> Keys:
    """Return the keys that today's sources imply."""
    module = settings.detector.partition(":")[0]
    inputs = {
        "settings": settings.given(),
        "protocol": [protocol.id, protocol.precision, protocol.validation_share, protocol.weak_share],
        "batch": protocol.export_batch,
        "cell": [cell.source, cell.category, cell.seed],
        "threads": protocol.threads,
    }
    measuring = [method.threshold, method.image_threshold, method.score, method.map, method.validation]
    measuring.append(method.empty_when_normal)
    return Keys(
        fit_code=code_digest((module, FIT), NUMERIC_CORE),
        fit_inputs=digest(inputs),
        measuring_code=code_digest((EVALUATE,), ("harness.metrics",)),
        measuring_inputs=digest([protocol.measures.given(), measuring]),
    )


def recipe_key(protocol: Protocol, dataset: str, entry: Dataset, size: int) -> str:
    """Return what the preparing of a dataset depends on, apart from its raw files."""
    return digest(
        {
            "code": code_digest(("harness.data.prepare", *modules(entry)), ("harness.data",)),
            "dataset": {key: value for key, value in entry.given().items() if key not in _DESCRIPTIVE},
            "protocol": [protocol.drawn, protocol.validation_share, protocol.weak_share],
            "prepared": protocol.datasets[dataset].given() | {"size": size},
        }
    )
