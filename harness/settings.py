"""What one cell's fit is made of: the entries of method, protocol and dataset merged into settings."""

from __future__ import annotations

from typing import Any

from harness.cell import Auxiliary, Method, Options, Override, Protocol, Settings
from harness.config import merge
from harness.errors import ConfigError

BUDGETS = ("images_seen", "epochs")


def settings_for(protocol: Protocol, method: Method, dataset: str, category: str, kind: str) -> Settings:
    """Merge, weakest first: the protocol's defaults, the method's entry, the protocol's limits, its overrides.

    `dataset` is the paper's id, also where a stand-in takes its place: a stand-in is used with the settings of what it
    stands for. Raises ConfigError when the protocol does not say how the dataset is prepared.
    """
    if dataset not in protocol.datasets:
        raise ConfigError(f"protocol '{protocol.id}': no entry datasets.{dataset}; add its size and channels")
    options: dict[str, Any] = {}
    training: dict[str, Any] = merge({}, protocol.training)
    zoom: dict[str, float] = {}
    auxiliary: Auxiliary | None = None
    entries: list[Override] = [method, *(protocol.methods.get(name, Override()) for name in method.family)]
    for entry in entries:
        for layer in entry.layers(dataset, category, kind):
            options = merge(options, layer.options)
            training = merge(training, layer.training)
            zoom = merge(zoom, layer.zoom)
            auxiliary = layer.auxiliary or auxiliary
        if entry is method:
            training = _limit(training, protocol.limits)
    prepared = protocol.datasets[dataset]
    return Settings(
        detector=method.detector,
        options={key: value for key, value in options.items() if value is not None},  # null: the detector's default
        training=training,
        size=round(prepared.size * zoom.get(kind, 1)),
        channels=prepared.channels,
        validation=method.validation,
        weak=method.weak,
        auxiliary=auxiliary,
    )


def _limit(training: dict[str, Any], limits: Options) -> dict[str, Any]:
    """Lay the protocol's limits on a method's published settings; a batch size is only ever lowered.

    A method without a budget gets none: it does not train, or is refused.
    """
    trains = any(training.get(key) for key in BUDGETS)
    limited = merge(training, {key: value for key, value in limits.items() if trains or key not in BUDGETS})
    if "batch_size" in limits:
        limited["batch_size"] = min(limits["batch_size"], training.get("batch_size", limits["batch_size"]))
    return limited
