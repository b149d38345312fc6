"""Embedded stand-ins for labelled sets: a painter's ten classes under a class protocol."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.data.collection import Collection
from harness.data.layouts.classes import collect_arrays


def locate(base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
    """Return None: embedded data lie nowhere."""
    return None


def collect(folder: Path | None, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
    """Make all classes with the module that the entry's `painter` names, and select the category's."""
    painter = import_module(f"harness.data.demo.{entry['painter']}")
    settings = [value.get("painting", {}) for value in entry["categories"].values()]
    train, test = painter.classes(settings)
    return collect_arrays(train, test, entry, category)
