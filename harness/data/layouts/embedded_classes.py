"""Embedded stand-ins for labelled sets: a painter's ten classes under a class protocol."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from harness.data.collection import Collection
from harness.data.layouts.classes import collect_arrays
from harness.dataset import Dataset


def locate(base: Path, dataset: Dataset, category: str) -> Path | None:
    """Return None: embedded data lie nowhere."""
    return None


def collect(folder: Path | None, dataset: Dataset, category: str) -> Collection:
    """Make all classes with the module that the entry's `painter` names, and select the category's."""
    painter = import_module(f"harness.data.demo.{dataset.painter}")
    settings = [value.painting for value in dataset.categories.values()]
    train, test = painter.classes(settings)
    return collect_arrays(train, test, dataset, category)
