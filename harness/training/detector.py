"""The contract between the harness and a method: learn normal images, return maps and scores, never grades."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor, nn

if TYPE_CHECKING:
    from harness.training.loop import Run


@dataclass(frozen=True)
class TrainingSet:
    """What a method may learn from. All images are uint8 (N,H,W,C); the arrays may be memory-mapped.

    Attributes:
        images: normal training images, without those held out for validation.
        labels: (N,) class label of each training image; all zero where the data have one normal class.
        anomalous: the few anomalous images of the weakly supervised setting; empty (0,H,W,C) otherwise.
        validation: anomaly-free images held out of training; empty unless the method asks for them.
        kind: "texture" or "object", as the dataset's entry says of the category.
        anomalous_masks: (K,H,W) {0,1} of the anomalous images; None where the dataset has no masks.
        anomalous_kinds: the K anomalous images' kinds of defect, as the dataset names them.
        auxiliary: images of anything, none of them of the category; None where there are none.
    """

    images: np.ndarray
    labels: np.ndarray
    anomalous: np.ndarray
    validation: np.ndarray
    kind: str = "object"
    anomalous_masks: np.ndarray | None = None
    anomalous_kinds: tuple[str, ...] = ()
    auxiliary: np.ndarray | None = None


@dataclass(frozen=True)
class Prediction:
    """Anomaly maps (N,h,w) or None, and image scores (N,); in both, higher means more anomalous.

    A fit that serves several methods gives several named maps or scores; a method's entry says which are its own
    (keys `map` and `score`).
    """

    maps: Tensor | dict[str, Tensor] | None
    scores: Tensor | dict[str, Tensor]


class Detector(nn.Module, ABC):
    """Learns one category's normal images; then gives each test image an anomaly map and a score.

    A method is a subclass with its options as keyword arguments of the constructor. The constructor builds every
    network (its weights are drawn from the seed that the harness has set); what `fit` learns lives in parameters
    and buffers, so that `state_dict` is the whole method. Buffers whose shape is known only after `fit` are
    registered empty and may change shape there.

    Attributes:
        shape: (C, H, W) of the input images.
        map_range: (low, high) if the maps' values have an absolute meaning (CAVGA: (0, 1)), by name where several maps
            differ in it; None otherwise.
        own_threshold: a threshold that the method itself defines for its maps (TI: 0), else None.
        weights_origin: where pretrained weights came from, or "random initialisation".
        flaw: what `fit` found wrong with its own result; the record says it and no table prints its numbers.
    """

    map_range: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None
    own_threshold: float | None = None
    weights_origin: str = "random initialisation"
    flaw: str | None = None

    def __init__(self, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape

    @abstractmethod
    def fit(self, train: TrainingSet, run: Run) -> None:
        """Learn from `train`. Raises FitError when the method cannot be trained on it."""

    @abstractmethod
    def predict(self, images: Tensor) -> Prediction:
        """Map images (N,C,H,W), float32 in [0,1] and on the detector's device, to maps and scores.

        Called in eval mode and under torch.no_grad() (a method that needs gradients enables them), on batches of any
        size. The result for an image must not depend on its batch, except through random draws of methods that search
        at test time (the harness seeds every batch).
        """
