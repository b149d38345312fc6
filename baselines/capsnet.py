"""CapsNet_PP and CapsNet_RE: a capsule network's prediction probability and its reconstruction error as scores.

Source: Li, Kiringa, Yeap, Zhu, Li, "Exploring Deep Anomaly Detection Methods Based on Capsule Net", ICML 2019 Workshop
on Uncertainty and Robustness in Deep Learning; the network is that of Sabour, Frosst, Hinton, "Dynamic Routing Between
Capsules", NeurIPS 2017.

Certain: two 9×9 convolutions, 32 types of 8-dimensional primary capsules, one 16-dimensional capsule per normal class,
three routing iterations with a softmax over the class capsules; margin loss plus 0.0005 times the summed squared error
of a decoder that sees the true class's capsule in training and the longest one at test. PP: the length of the longest
class capsule (Eq. 1), negated. RE: the squared error divided by the image's energy. One training serves both.

Ours: the training settings (Adam 1e-3, batch 128, 50 epochs, rates times 0.9 an epoch, shifts of two pixels) are those
in use for Sabour's network; Li et al.'s are not known. Routing weights start from N(0, 0.1²). The normalised error
divides by the sum of squares (`re_norm: sq`); `root` and `none` are the other readings. Images smaller than 25 pixels
take 5×5 kernels. The log shows the training accuracy: where it is low, PP says nothing yet.

Deviations: none known of the network. Eq. 1 needs several normal classes, so the printed columns follow the protocol
that leaves one class out. With one normal class there is one capsule, which every image makes long: PP is then not
informative, and only RE means something.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from baselines.inputs import one_of
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

PRIMARY, CLASS = 8, 16
"""Dimensions of a primary and of a class capsule."""
PRESENT, ABSENT, DOWN_WEIGHT = 0.9, 0.1, 0.5
"""The margin loss's two margins, and its weight on absent classes (Sabour et al., Eq. 4)."""


def lengths(capsules: Tensor) -> Tensor:
    """Return the lengths of capsules (…,D) as (…); smooth at zero, where the norm has no gradient."""
    return (capsules.square().sum(-1) + 1e-8).sqrt()


def squash(capsules: Tensor) -> Tensor:
    """Shrink capsules (…,D) to lengths in (0,1), keeping their directions (Sabour et al., Eq. 1)."""
    squared = capsules.square().sum(-1, keepdim=True)
    return squared / (1 + squared) * capsules / (squared + 1e-8).sqrt()


def route(votes: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Route votes (N,C,I,D) of I primary capsules to C class capsules by agreement.

    Returns the class capsules (N,C,D) and the couplings (N,C,I), which sum to one over the classes. Only the last
    iteration is differentiated.
    """
    held = votes.detach()
    logits = torch.zeros_like(held[..., 0])
    for _ in range(iterations - 1):
        capsules = squash((logits.softmax(1)[:, :, None] @ held)[:, :, 0])
        logits = logits + (held @ capsules[..., None])[..., 0]
    couplings = logits.softmax(1)
    return squash((couplings[:, :, None] @ votes)[:, :, 0]), couplings


def margin_loss(presence: Tensor, labels: Tensor) -> Tensor:
    """Return the mean margin loss of capsule lengths (N,C) for true classes (N,)."""
    true = F.one_hot(labels, presence.shape[1])
    present = true * F.relu(PRESENT - presence).square()
    absent = (1 - true) * F.relu(presence - ABSENT).square()
    return (present + DOWN_WEIGHT * absent).sum(1).mean()


class ClassCapsules(nn.Module):
    """One capsule per class, voted for by `inputs` primary capsules: (N,I,8) -> (N,C,16)."""

    def __init__(self, inputs: int, classes: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.weight = nn.Parameter(0.1 * torch.randn(inputs, PRIMARY, classes * CLASS))

    @property
    def classes(self) -> int:
        """Return the number of classes."""
        return self.weight.shape[-1] // CLASS

    def forward(self, primary: Tensor) -> Tensor:
        """Vote and route."""
        votes = torch.bmm(primary.transpose(0, 1), self.weight).unflatten(-1, (self.classes, CLASS))
        return route(votes.permute(1, 2, 0, 3).contiguous(), self.iterations)[0]


class CapsNetDetector(Detector):
    """Both methods; a prediction carries the scores "pp" and "re".

    Args:
        shape: (C, H, W) of the input images, at least 16×16.
        channels: of the two convolutions.
        types: of primary capsules.
        hidden: widths of the decoder's two hidden layers.
        iterations: of the routing.
        reconstruction: weight of the summed squared error.
        re_norm: RE divides the error by the image's energy ("sq"), its root ("root") or not at all ("none").
    """

    def __init__(
        self, shape: tuple[int, int, int], *, channels: int = 256, types: int = 32,
        hidden: tuple[int, int] = (512, 1024), iterations: int = 3, reconstruction: float = 5e-4, re_norm: str = "sq",
    ) -> None:  # fmt: skip
        super().__init__(shape)
        if min(shape[1:]) < 16:
            raise ConfigError(f"capsule network: images of {shape[1]}x{shape[2]} are too small; 16x16 is the least")
        self.hidden, self.iterations = tuple(hidden), iterations
        self.reconstruction, self.re_norm = reconstruction, one_of("re_norm", re_norm, ("sq", "root", "none"))
        kernel = 9 if min(shape[1:]) > 24 else 5
        self.convolution = nn.Conv2d(shape[0], channels, kernel)
        self.primary = nn.Conv2d(channels, types * PRIMARY, kernel, stride=2)
        sides = [(side - kernel + 1 - kernel) // 2 + 1 for side in shape[1:]]
        self.inputs = types * sides[0] * sides[1]
        self._set_classes(1)
        self.register_load_state_dict_pre_hook(_match_classes)

    def _set_classes(self, classes: int) -> None:
        """Build what depends on the number of classes, which only the training set knows."""
        device = self.primary.weight.device
        first, second = self.hidden
        self.capsules = ClassCapsules(self.inputs, classes, self.iterations).to(device)
        self.decoder = nn.Sequential(
            nn.Linear(classes * CLASS, first), nn.ReLU(), nn.Linear(first, second), nn.ReLU(),
            nn.Linear(second, int(np.prod(self.shape))), nn.Sigmoid(),
        ).to(device)  # fmt: skip

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Learn to tell the normal classes apart and to reconstruct each image from its class's capsule."""
        classes, labels = np.unique(train.labels, return_inverse=True)
        if len(classes) != self.capsules.classes:
            self._set_classes(len(classes))
        run.prepare(self)

        def loss(batch: Batch) -> Losses:
            capsules = self._capsules(batch.images, run)
            margin = margin_loss(lengths(capsules), batch.labels)
            error = (self._decode(capsules, batch.labels) - batch.images).square().sum((1, 2, 3)).mean()
            right = (lengths(capsules).argmax(1) == batch.labels).float().mean()
            parts = {"margin": margin, "squared_error": error, "accuracy": right}
            return {"loss": margin + self.reconstruction * error, **parts}

        optimizer = Adam(self.parameters(), lr=run.training.learning_rate)
        run.loop(self, train.images, [Phase(optimizer, loss)], labels=labels.astype(np.int64))

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return no maps, and the scores "pp" (-1 … 0) and "re" (≥ 0)."""
        capsules = self._capsules(images)
        longest, label = lengths(capsules).max(1)
        error = (self._decode(capsules, label) - images).square().sum((1, 2, 3))
        return Prediction(None, {"pp": -longest, "re": error / self._energy(images)})

    def _energy(self, images: Tensor) -> Tensor:
        energy = images.square().sum((1, 2, 3)).clamp_min(1e-6)
        return {"sq": energy, "root": energy.sqrt(), "none": torch.ones_like(energy)}[self.re_norm]

    def _capsules(self, images: Tensor, run: Run | None = None) -> Tensor:
        """Return the class capsules (N,C,16); routing is done in float32."""
        if run is None:
            features = self.primary(F.relu(self.convolution(images)))
        else:
            with run.autocast():
                features = self.primary(F.relu(self.convolution(images)))
        primary = features.float().unflatten(1, (-1, PRIMARY)).movedim(2, -1).flatten(1, 3)
        return self.capsules(squash(primary))

    def _decode(self, capsules: Tensor, labels: Tensor) -> Tensor:
        """Reconstruct images (N,C,H,W) from the capsules of the given classes; all others are masked by zero."""
        mask = F.one_hot(labels, capsules.shape[1])[..., None]
        return self.decoder((capsules * mask).flatten(1)).view(-1, *self.shape)


def _match_classes(module: CapsNetDetector, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Give the network as many classes as the weights to be loaded have."""
    weight = state.get(f"{prefix}capsules.weight")
    if weight is not None and weight.shape[-1] != module.capsules.weight.shape[-1]:
        module._set_classes(weight.shape[-1] // CLASS)
