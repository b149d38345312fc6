"""Read the layers off a method's networks, as the paper's layer tables list them."""

from __future__ import annotations

from typing import Any

from harness.errors import ConfigError
from harness.training.fit import image_shape
from harness.training.registry import build_detector


def layer_rows(settings: dict[str, Any]) -> list[dict[str, str]]:
    """Return one row a layer of the detector that `settings` describe.

    Raises ConfigError when the detector does not list its layers.
    """
    options = dict(settings["options"])
    if "encoder_weights" in options:
        options["encoder_weights"] = "none"  # the layers are the same, and the weights' file may not be there
    detector = build_detector(settings["detector"], image_shape(settings), options)
    listing = getattr(detector, "layer_rows", None)
    if listing is None:
        raise ConfigError(f"detector '{settings['detector']}': it has no layer_rows(); only these can be tabled")
    rows: list[dict[str, str]] = listing()
    return rows
