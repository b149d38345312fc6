"""A protocol's `limits` bind every method, also those for which the protocol that it extends has numbers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NESTED = ("by_dataset", "by_kind", "by_category")


def limited(methods: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Return the overrides of a protocol's methods under the `limits` of one that extends it.

    What the extending protocol itself says of a method comes later and wins.
    """
    return {name: _layer(override, limits) for name, override in methods.items()}


def _layer(layer: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(layer)
    if "training" in layer:
        result["training"] = _training(layer["training"], limits)
    for key in _NESTED:
        if key in layer:
            result[key] = limited(layer[key], limits)
    return result


def _training(training: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """Lower what is above a limit. A limit on images binds a number of epochs too: it replaces it."""
    result = dict(training)
    for key, most in limits.items():
        if _number(most) and _number(training.get(key)):
            result[key] = min(most, training[key])
    if (
        _number(limits.get("images_seen"))
        and _number(training.get("epochs"))
        and not _number(result.get("images_seen"))
    ):
        result["images_seen"] = limits["images_seen"]
    return result


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
