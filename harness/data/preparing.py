"""How a protocol wants a dataset prepared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.cell import Protocol


@dataclass(frozen=True)
class Preparing:
    """What preparing depends on, apart from the dataset.

    Attributes:
        size: side of the prepared images in pixels.
        channels: 1 (grey) or 3 (RGB).
        seeds: base seeds whose splits are frozen.
        validation_share: share of the training images held out for validation.
        weak_share: share of the test set whose number of anomalous images moves into weakly supervised training.
        options: of the protocol for this dataset, such as `sample_every`; they win over the dataset's own.
    """

    size: int
    channels: int
    seeds: Sequence[int] = (0,)
    validation_share: float = 0.1
    weak_share: float = 0.02
    options: Mapping[str, Any] = field(default_factory=dict)


def preparing(protocol: Protocol, dataset: str, size: int) -> Preparing:
    """Return how a protocol prepares the paper's `dataset`, at `size` pixels."""
    prepared = protocol.datasets[dataset]
    return Preparing(
        size,
        prepared.channels,
        protocol.drawn,
        protocol.validation_share,
        protocol.weak_share,
        prepared.options or {},
    )
