"""From a method's entry in config/methods.yaml to its detector: no list of methods exists in Python."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from harness.errors import ConfigError
from harness.training.detector import Detector


def build_detector(path: str, shape: tuple[int, int, int], options: Mapping[str, Any]) -> Detector:
    """Build the detector "package.module:Class" for images of `shape` (C,H,W).

    Raises ConfigError when there is no such class, or an option that its constructor does not know.
    """
    module, _, name = path.partition(":")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"detector '{path}': {error}; check `detector` in config/methods.yaml") from None
    known = [p for p in inspect.signature(kind.__init__).parameters if p not in {"self", "shape"}]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ConfigError(f"detector '{path}': unknown option '{unknown[0]}'; known: {', '.join(known) or 'none'}")
    detector = kind(shape, **options)
    if not isinstance(detector, Detector):
        raise ConfigError(f"detector '{path}': not a subclass of harness.training.detector.Detector")
    return detector
