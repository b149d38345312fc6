"""The test images of one category as the measures see them: maps in a stream, masks one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import DataError

Map = NDArray[np.uint16]
Maps = Callable[[], Iterable[Map]]
Masks = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]


@dataclass(frozen=True)
class ImageSet:
    """M test images; the attributes are those of `evaluate`, `weights` (B,M) the bootstrap's replicates."""

    maps: Maps | None
    low: float
    high: float
    masks: Masks | None
    anomalous: NDArray[np.bool_]
    scores: NDArray[np.float64]
    weights: NDArray[np.int32]

    def images(self) -> Iterator[tuple[Map, NDArray[np.uint8] | None]]:
        """Give the M maps with their masks, one after the other."""
        count = self.scores.size
        number = 0
        for codes in self.maps() if self.maps is not None else ():
            if number == count:
                raise DataError(f"more than {count} maps for {count} images; export again")
            mask = None if self.masks is None else self.masks[number]
            if mask is not None and mask.shape != codes.shape:
                raise DataError(f"map {number} is {codes.shape}, its mask {mask.shape}; prepare and export again")
            number += 1
            yield codes, mask
        if self.maps is not None and number < count:
            raise DataError(f"{number} maps for {count} images; export again")

    def pixels(self) -> Iterator[tuple[Map, NDArray[np.uint8]]]:
        """Give the M maps with their masks, or nothing where either is missing."""
        return ((codes, mask) for codes, mask in self.images() if mask is not None)

    def missing(self) -> str | None:
        """Say why nothing can be measured pixel by pixel; None if it can."""
        if self.maps is None:
            return "the method gives no anomaly maps"
        return "the dataset has no masks" if self.masks is None else None
