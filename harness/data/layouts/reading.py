"""What an entry says of the reading of its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.data.images import WHITE
from harness.data.masks import LEVELS
from harness.data.pairs import Reading


def reading(entry: Mapping[str, Any]) -> Reading:
    """Return how images and masks of a dataset are read."""
    return Reading(
        pad=int(entry.get("pad", 0)),
        white=int(entry.get("white_level", WHITE)),
        values=str(entry.get("mask_values", LEVELS)),
        share=entry.get("attention_threshold"),
    )
