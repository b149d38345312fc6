"""What one cell's fit is made of: the entries of method, protocol and dataset merged into settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from harness.config import merge
from harness.errors import ConfigError


@dataclass(frozen=True)
class Settings:
    """The merged settings of (method, dataset, category) under a protocol; plain data, ready to be hashed."""

    detector: str
    options: dict[str, Any]
    training: dict[str, Any]
    size: int
    channels: int
    validation: bool
    weak: bool


def settings_for(
    protocol: Mapping[str, Any], method: Mapping[str, Any], method_id: str, dataset: str, category: str, kind: str
) -> Settings:
    """Merge, weakest first: the protocol's defaults, the method's entry, the protocol's limits, its overrides.

    `dataset` is the paper's id, also where a stand-in takes its place: a stand-in is used with the settings of what it
    stands for. Raises ConfigError when the protocol does not say how the dataset is prepared.
    """
    if dataset not in protocol["datasets"]:
        raise ConfigError(f"protocol '{protocol['id']}': no entry datasets.{dataset}; add its size and channels")
    override = protocol["methods"].get(method_id, {})
    options: dict[str, Any] = {}
    training: dict[str, Any] = merge({}, protocol["training"])
    zoom: dict[str, float] = {}
    for number, entry in enumerate((method, override)):
        for layer in _layers(entry, dataset, category, kind):
            options = merge(options, layer.get("options", {}))
            training = merge(training, layer.get("training", {}))
            zoom = merge(zoom, layer.get("zoom", {}))
        if number == 0:
            training = _limit(training, protocol["limits"])
    prepared = protocol["datasets"][dataset]
    return Settings(
        detector=method["detector"],
        options=options,
        training=training,
        size=round(prepared["size"] * zoom.get(kind, 1)),
        channels=prepared["channels"],
        validation=bool(method.get("validation", False)),
        weak=bool(method.get("weak", False)),
    )


def _layers(entry: Mapping[str, Any], dataset: str, category: str, kind: str) -> Iterator[Mapping[str, Any]]:
    yield entry
    yield entry.get("by_dataset", {}).get(dataset, {})
    yield entry.get("by_kind", {}).get(kind, {})
    yield entry.get("by_category", {}).get(category, {})


def _limit(training: dict[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Lay the protocol's limits on a method's published settings; a batch size is only ever lowered."""
    limited = merge(training, limits)
    if "batch_size" in limits:
        limited["batch_size"] = min(limits["batch_size"], training.get("batch_size", limits["batch_size"]))
    return limited


def applies(method: Mapping[str, Any], source: str, category: str, kind: str) -> bool:
    """Tell whether a method is meant for a category; `applies_to` maps a dataset id or "*" to a kind or categories.

    `source` is the dataset really used: a stand-in has categories of its own.
    """
    rule = method.get("applies_to")
    if rule is None:
        return True
    wanted = rule.get(source, rule.get("*", []))
    return kind == wanted if isinstance(wanted, str) else category in wanted
