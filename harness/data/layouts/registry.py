"""Layouts by name: what `layout:` in config/datasets.yaml may say."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from harness.data.collection import Collection
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

    def locate(self, base: Path, entry: Mapping[str, Any], category: str) -> Path | None:
        """Return where the category lies at or below `base`, by stat and listdir only, or None."""

    def collect(self, folder: Path, entry: Mapping[str, Any], category: str, options: Mapping[str, Any]) -> Collection:
        """List what lies in `folder`, unread. Raises DataError when it is incomplete or contradicts itself."""


def layout(name: str) -> Layout:
    """Return the layout called `name`. Raises ConfigError when there is none."""
    if name not in MODULES:
        raise ConfigError(f"datasets.yaml: unknown layout '{name}'; known are {', '.join(MODULES)}")
    return cast("Layout", import_module(MODULES[name]))


def layout_names(entry: Mapping[str, Any]) -> list[str]:
    """Return the layouts that an entry allows, most official first."""
    names = entry["layout"]
    return [names] if isinstance(names, str) else list(names)


def modules(entry: Mapping[str, Any]) -> list[str]:
    """Return the modules that decide what is read from a dataset: its layouts, and its painter if it has one."""
    painter = [f"harness.data.demo.{entry['painter']}"] if "painter" in entry else []
    return [MODULES[name] for name in layout_names(entry)] + painter
