"""What an entry says of the reading of its files."""

from __future__ import annotations

from harness.data.pairs import Reading
from harness.dataset import Dataset


def reading(dataset: Dataset) -> Reading:
    """Return how images and masks of a dataset are read."""
    return Reading(
        pad=dataset.pad, white=dataset.white_level, values=dataset.mask_values, share=dataset.attention_threshold
    )
