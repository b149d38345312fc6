"""ULSLM: unsupervised learning of the set of local maxima; is an image in the set of normal ones?

Source: Wolf, Benaim, Galanti, "Unsupervised Learning of the Set of Local Maxima", ICLR 2019.

Certain: training images are taken as local maxima of an unknown value function within an unknown set. c(x) says whether
x is in the set, h(x', x) whether x' is worth at least as much as x; each is trained against a generator of hard
negatives, and the product of both losses couples them. Four networks, trained in turn for one pass over the data each:
G_c, c, G_h, h. DCGAN-like generators of five blocks each way, classifiers of four blocks and a sigmoid. Batch 32, Adam.
The score is c, averaged over ten runs in the paper.

Ours: the paper states neither widths nor kernels, neither how h sees two images (here: stacked as channels) nor rates
and epochs (here: Adam 2e-4 with beta1 0.5, 100 rounds of four passes). Sigmoids are clamped to [1e-6, 1 - 1e-6]. A
network that is not trained in a pass keeps its running statistics too. Normal and made images pass a classifier in
batches of their own, each normalised by itself; its running statistics, used at test, mix both. Images of 64 pixels and
more get more blocks: down to 1×1 in the generators, to 4×4 in the classifiers. Budgets of fewer than `rounds` rounds
are split into shorter passes, so that every network is trained at all. The score is the logit of c, negated: the same
order, without the ties of a saturated sigmoid.

Deviations: one run per seed; averaging is left to the protocol's list of seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from baselines.adversarial import looking_on, signed
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

LARGEST = math.log((1 - 1e-6) / 1e-6)
"""The logit at which the sigmoid reaches 1 - 1e-6."""


def surprise(logits: Tensor, *, accepted: bool) -> Tensor:
    """Return -log(p) of the outcome "accepted", or -log(1 - p) of the other, for logits of any shape."""
    logits = logits.float().clamp(-LARGEST, LARGEST)
    return F.softplus(-logits if accepted else logits)


def _block(source: int, target: int, *, up: bool = False) -> list[nn.Module]:
    kind = nn.ConvTranspose2d if up else nn.Conv2d
    return [kind(source, target, 4, 2, 1, bias=False), nn.BatchNorm2d(target), nn.ReLU()]


def _widths(width: int, blocks: int) -> list[int]:
    return [width * min(2**number, 8) for number in range(blocks)]


class Generator(nn.Module):
    """Changes images (N,C,S,S) in [-1,1] through a code of 1×1 pixels."""

    def __init__(self, channels: int, size: int, width: int) -> None:
        super().__init__()
        widths = [channels, *_widths(width, int(math.log2(size)))]
        layers = [layer for pair in itertools.pairwise(widths) for layer in _block(*pair)]
        back = widths[:0:-1]
        layers += [layer for pair in itertools.pairwise(back) for layer in _block(*pair, up=True)]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(back[-1], channels, 4, 2, 1), nn.Tanh())

    def forward(self, images: Tensor) -> Tensor:
        """Return images of the same shape and range."""
        return self.layers(images)


class Classifier(nn.Module):
    """Images (N,C,S,S) to logits (N,)."""

    def __init__(self, channels: int, size: int, width: int) -> None:
        super().__init__()
        last = 4 if size >= 64 else 2
        widths = [channels, *_widths(width, int(math.log2(size // last)))]
        layers = [layer for pair in itertools.pairwise(widths) for layer in _block(*pair)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, last))

    def forward(self, images: Tensor) -> Tensor:
        """Return one logit an image."""
        return self.layers(images).flatten()


class LocalMaxima(Detector):
    """ULSLM for square images of 16, 32, 64, … pixels.

    Args:
        shape: (C, H, W) of the input images.
        width: channels of the first block of every network.
        closeness: weight of the distance between an image and G_h's change of it.
        rounds: a run has at least so many rounds of four passes, whatever its budget.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, width: int = 64, closeness: float = 1.0, rounds: int = 10
    ) -> None:
        super().__init__(shape)
        channels, size = shape[0], shape[1]
        if shape[1] != shape[2] or size < 16 or size & (size - 1):
            raise ConfigError(f"ULSLM: {shape[1]}x{shape[2]} images; sides must be equal and 16, 32, 64, 128 or 256")
        self.closeness, self.rounds = closeness, rounds
        self.set_generator = Generator(channels, size, width)
        self.in_set = Classifier(channels, size, width)
        self.value_generator = Generator(channels, size, width)
        self.at_least = Classifier(2 * channels, size, width)

    def networks(self) -> list[nn.Module]:
        """Return the four networks in the order of their passes: G_c, c, G_h, h."""
        return [self.set_generator, self.in_set, self.value_generator, self.at_least]

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train the four networks in turn, one pass each."""
        run.prepare(self)
        images = len(train.images)
        steps = pass_steps(run.training.epoch_steps(images), run.training.total_steps(images), self.rounds)
        losses = [self.set_generator_loss, self.in_set_loss, self.value_generator_loss, self.at_least_loss]
        run.loop(self, train.images, [self._phase(turn, loss, steps, run) for turn, loss in enumerate(losses)])

    def _phase(self, turn: int, loss: Callable[[Tensor], Losses], steps: int, run: Run) -> Phase:
        networks = self.networks()
        optimizer = Adam(networks[turn].parameters(), lr=run.training.learning_rate, betas=(0.5, 0.999))
        others = [network for number, network in enumerate(networks) if number != turn]

        def within(batch: Batch) -> Losses:
            with looking_on(*others), run.autocast():
                return loss(signed(batch.images))

        return Phase(optimizer, within, lambda batch: batch.step // steps % len(networks) == turn)

    def set_generator_loss(self, images: Tensor) -> Losses:
        """G_c: make images that c and h both accept."""
        return {"loss": -self._negatives(self.set_generator(images), images)}

    def in_set_loss(self, images: Tensor) -> Losses:
        """c: accept training images, reject what G_c makes, the more so if h accepts it."""
        with torch.no_grad():
            made = self.set_generator(images)
        positive = surprise(self.in_set(images), accepted=True).mean()
        negative = self._negatives(made, images, self.at_least)
        return {"loss": positive + negative, "c_real": positive, "c_made": negative}

    def value_generator_loss(self, images: Tensor) -> Losses:
        """G_h: make images near x that c and h both accept."""
        made = self.value_generator(images)
        distance = (images - made.float()).flatten(1).norm(dim=1).mean()
        return {"loss": self.closeness * distance - self._negatives(made, images), "distance": distance}

    def at_least_loss(self, images: Tensor) -> Losses:
        """h: accept an image beside itself, reject what G_h makes of it, the more so if c accepts it."""
        with torch.no_grad():
            made = self.value_generator(images)
        positive = surprise(self._compare(images, images), accepted=True).mean()
        negative = self._negatives(made, images, self.in_set)
        return {"loss": positive + negative, "h_real": positive, "h_made": negative}

    def _negatives(self, made: Tensor, images: Tensor, fixed: nn.Module | None = None) -> Tensor:
        """Return the mean product of both classifiers' losses on made images; `fixed` needs no gradient."""
        with torch.set_grad_enabled(fixed is not self.in_set):
            outside = surprise(self.in_set(made), accepted=False)
        with torch.set_grad_enabled(fixed is not self.at_least):
            less = surprise(self._compare(made, images), accepted=False)
        return (outside * less).mean()

    def _compare(self, first: Tensor, second: Tensor) -> Tensor:
        return self.at_least(torch.cat([first, second.to(first.dtype)], 1))

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return no maps, and the negated logit of c as the score."""
        return Prediction(None, -self.in_set(signed(images)).float())


def pass_steps(epoch: int, total: int, rounds: int, networks: int = 4) -> int:
    """Return the steps of one network's pass: an epoch, or less where `rounds` rounds would not fit into `total`."""
    return max(1, min(epoch, total // (rounds * networks)))
