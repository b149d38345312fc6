"""Layouts by name: what `layout:` in config/datasets.yaml may say."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from harness.data.collection import Collection
from harness.dataset import Dataset
from harness.errors import ConfigError

NAMES = (
    "cifar_batches",
    "class_tree",
    "embedded",
    "embedded_classes",
    "file",
    "idx",
    "lag",
    "mvtec",
    "shanghaitech",
    "table",
)
MODULES = {name: f"harness.data.layouts.{name}" for name in NAMES}


class Layout(Protocol):
    """How one kind of dataset lies on disk."""

    def locate(self, base: Path, dataset: Dataset, category: str) -> Path | None:
        """Return where the category lies at or below `base`, by stat and listdir only, or None."""

    def collect(self, folder: Path, dataset: Dataset, category: str) -> Collection:
        """List what lies in `folder`, unread. Raises DataError when it is incomplete or contradicts itself."""


def layout(name: str) -> Layout:
    """Return the layout called `name`. Raises ConfigError when there is none."""
    if name not in MODULES:
        raise ConfigError(f"datasets.yaml: unknown layout '{name}'; known are {', '.join(MODULES)}")
    return cast("Layout", import_module(MODULES[name]))


def modules(dataset: Dataset) -> list[str]:
    """Return the modules that decide what is read from a dataset: its layouts, and its painter if it has one."""
    painter = [f"harness.data.demo.{dataset.painter}"] if dataset.painter else []
    return [MODULES[name] for name in dataset.layout] + painter
