"""MemAE: an autoencoder that may reconstruct only from a few remembered normal codes.

Source: Gong, Liu, Le, Saha, Mansour, Venkatesh, van den Hengel, "Memorizing Normality to Detect Anomaly:
Memory-augmented Deep Autoencoder for Unsupervised Anomaly Detection", ICCV 2019.

Certain: the code is replaced by a weighted mean of memory slots; the weights are a softmax over similarities, shrunk to
zero below a threshold of 1/N to 3/N and normalised to sum one; the loss adds 0.0002 times their entropy to the squared
error; the score is the squared error. Gray images: convolutions of 16 (1×1), 32 and 64 channels with stride 2, 100
slots. Video's learning rate is 1e-4.

Ours: a slot is a whole image's code (the paper allows both). Colour images: 64, 128, 128, 256 channels and 500 slots,
after a port that describes them as the paper's. Batch 64 and 100 epochs, after the same port. The threshold is 1/N.
The map is the squared error per pixel; neither the paper nor its code has one for images.

Deviations: slots are addressed by the inner product, as the released code does. The cosine that the paper prints lies
in [-1,1], so its softmax over N slots is almost flat and a threshold of 1/N to 3/N removes nearly every slot
(`addressing: cosine`). Where no slot is left, the best one is taken alone. No held-out images choose a checkpoint.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from baselines.adversarial import signed
from baselines.inputs import image_batches, one_of
from baselines.lsa_networks import EverySecond
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

ADDRESSINGS = ("dot", "cosine")


class Memory(nn.Module):
    """N slots of C numbers; queries (B,C) are replaced by sparse convex combinations of them.

    Args:
        slots: N.
        size: C.
        threshold: weights up to threshold / N are shrunk to zero.
        addressing: "dot" or "cosine".
    """

    def __init__(self, slots: int, size: int, threshold: float = 1.0, addressing: str = "dot") -> None:
        super().__init__()
        self.threshold, self.addressing = threshold / slots, addressing
        self.items = nn.Parameter(torch.empty(slots, size).uniform_(-1, 1) / math.sqrt(size))

    def address(self, queries: Tensor) -> Tensor:
        """Return the weights (B,N) of the slots: at least one is positive, and they sum to one."""
        keys: Tensor = self.items
        if self.addressing == "cosine":
            queries, keys = F.normalize(queries, dim=1), F.normalize(keys, dim=1)
        dense = (queries @ keys.T).softmax(1)
        shrunk = F.hardshrink(dense, self.threshold)
        best = dense * F.one_hot(dense.argmax(1), dense.shape[1])
        kept = torch.where((shrunk > 0).any(1, keepdim=True), shrunk, best)
        return kept / kept.sum(1, keepdim=True)

    def forward(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the remembered codes (B,C) and their weights (B,N)."""
        weights = self.address(queries)
        return weights @ self.items, weights


def entropy(weights: Tensor) -> Tensor:
    """Return the mean entropy of weights (B,N) over the queries, in nats."""
    return -(weights * (weights + 1e-12).log()).sum(1).mean()


def _halving(source: int, target: int, kernel: int) -> list[nn.Module]:
    """Return a convolution with stride 2; 1×1 ones take every second pixel first (why: EverySecond)."""
    if kernel == 1:
        return [EverySecond(), nn.Conv2d(source, target, 1)]
    return [nn.Conv2d(source, target, kernel, 2, kernel // 2)]


def _encoder(channels: int, widths: Sequence[int], first_kernel: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    kernel = first_kernel
    for width in widths:
        layers += [*_halving(channels, width, kernel), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
        channels, kernel = width, 3
    return nn.Sequential(*layers)


def _decoder(channels: int, widths: Sequence[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    sources = [widths[-1], *reversed(widths[1:])]
    for source, target in itertools.pairwise(sources):
        up = nn.ConvTranspose2d(source, target, 3, 2, 1, output_padding=1)
        layers += [up, nn.BatchNorm2d(target), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(sources[-1], channels, 3, 2, 1, output_padding=1))


class MemoryAutoencoder(Detector):
    """MemAE for images.

    Args:
        shape: (C, H, W) of the input images; sides are multiples of 2^(number of widths).
        widths: channels of the encoder's convolutions, each with stride 2.
        first_kernel: 1 or 3.
        slots: of the memory.
        threshold: of the shrinkage, in units of 1 / slots (1 to 3 in the paper).
        addressing: "dot" or "cosine".
        sparsity: weight of the entropy.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, widths: Sequence[int] = (16, 32, 64), first_kernel: int = 1,
        slots: int = 100, threshold: float = 1.0, addressing: str = "dot", sparsity: float = 2e-4,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        factor = 2 ** len(widths)
        if shape[1] % factor or shape[2] % factor:
            raise ConfigError(f"memory autoencoder: {shape[1]}x{shape[2]} images; sides must be multiples of {factor}")
        self.sparsity = sparsity
        self.code = (widths[-1], shape[1] // factor, shape[2] // factor)
        self.encoder = _encoder(shape[0], widths, first_kernel)
        self.memory = Memory(slots, math.prod(self.code), threshold, one_of("addressing", addressing, ADDRESSINGS))
        self.decoder = _decoder(shape[0], widths)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Minimise the squared error of normal images reconstructed from memory, and the entropy of its use."""
        run.prepare(self)

        def loss(batch: Batch) -> Losses:
            images = signed(batch.images)
            with run.autocast():
                codes = self.encoder(images).flatten(1)
            remembered, weights = self.memory(codes.float())
            with run.autocast():
                reconstructed = self._decode(remembered)
            error = (images - reconstructed.float()).square().sum((1, 2, 3)).mean()
            spread, survivors = entropy(weights), (weights > 0).sum(1).float().mean()
            total = error + self.sparsity * spread
            return {"loss": total, "squared_error": error, "entropy": spread, "slots_per_image": survivors}

        run.loop(self, train.images, [Phase(Adam(self.parameters(), lr=run.training.learning_rate), loss)])
        self._report_use(train.images, run)

    @torch.no_grad()
    def _report_use(self, images: np.ndarray, run: Run) -> None:
        """Say how many slots up to 1,024 training images use: a memory that collapsed shows here."""
        self.eval()
        used = torch.zeros(len(self.memory.items), dtype=torch.bool, device=run.device)
        for part in image_batches(images[:1024], run.device):
            used |= (self.memory.address(self.encoder(signed(part)).flatten(1)) > 0).any(0)
        run.progress.note(f"{int(used.sum())} of {len(used)} memory slots are in use")

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return squared errors per pixel (mean over channels) and their mean as the score."""
        images = signed(images)
        remembered, _ = self.memory(self.encoder(images).flatten(1))
        maps = (images - self._decode(remembered)).square().mean(1)
        return Prediction(maps, maps.mean((1, 2)))

    def _decode(self, codes: Tensor) -> Tensor:
        return self.decoder(codes.view(-1, *self.code))
