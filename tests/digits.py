"""Scikit-learn's handwritten digits for tests of methods that learn classes of objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.datasets import load_digits

from harness.training.detector import TrainingSet


def digits(normal: Sequence[int], train: int = 1200) -> tuple[TrainingSet, torch.Tensor, np.ndarray]:
    """Return a training set of the classes `normal`, and test images (N,1,16,16) in [0,1] with their classes (N,).

    The 8×8 digits are doubled; the first `train` of all 1,797 are for training.
    """
    data = load_digits()
    images = (np.kron(data.images, np.ones((2, 2))) / 16 * 255).astype(np.uint8)[..., None]
    chosen = np.flatnonzero(np.isin(data.target[:train], normal))
    none = images[:0]
    test = torch.from_numpy(images[train:]).permute(0, 3, 1, 2).float() / 255
    return TrainingSet(images[chosen], data.target[chosen], none, none), test, data.target[train:]
