"""The training loop that every method shares: batches, phases, schedule, checkpoints, progress, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from harness.errors import FitError
from harness.training.augment import augment
from harness.training.checkpoint import Checkpoint
from harness.training.detector import Detector
from harness.training.hooks import Hook
from harness.training.progress import Progress
from harness.training.schedule import Training
from harness.training.seeds import derive_seed

Losses = Mapping[str, Tensor]


@dataclass
class Batch:
    """One (micro-)batch: images (N,C,H,W) float32 in [0,1] on the device, labels (N,), and where the run stands.

    `shared` carries tensors from one phase of a step to the next. It is a cache: a phase must be able to compute
    what it does not find there.
    """

    images: Tensor
    labels: Tensor
    step: int
    epoch: int
    fraction: float
    shared: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Phase:
    """One optimiser step within a training step.

    `loss` returns named scalars; the one called "loss" is differentiated with respect to the optimiser's own
    parameters only, so no phase can move another phase's network.
    """

    optimizer: Optimizer
    loss: Callable[[Batch], Losses]
    when: Callable[[Batch], bool] = lambda batch: True
    name: str = ""

    def parameters(self) -> list[Tensor]:
        """Return the parameters that this phase moves."""
        return [p for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad]


@dataclass
class Run:
    """What a fit gets from the harness, so that no method writes its own loop, seed or progress code."""

    device: torch.device
    precision: str
    seed: int
    training: Training
    checkpoint: Checkpoint
    progress: Progress
    micro_batches: int = 1

    def autocast(self) -> AbstractContextManager[object]:
        """Return the mixed-precision context of this run; losses belong outside it, in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")

    def prepare(self, module: nn.Module) -> nn.Module:
        """Move a module to the device; channels-last where bfloat16 convolutions gain from it."""
        module = module.to(self.device)
        return module.to(memory_format=torch.channels_last) if self.precision == "bfloat16" else module

    def reseed(self, *names: str | int) -> None:
        """Seed torch for one piece of work, so that its draws do not depend on what ran before it."""
        torch.manual_seed(derive_seed(self.seed, *names))

    def images(self, pixels: np.ndarray) -> Tensor:
        """Return uint8 images (N,H,W,C) as float32 (N,C,H,W) in [0,1] on the device."""
        copied = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device, non_blocking=True)
        images = copied.permute(0, 3, 1, 2).float().div_(255)
        return images.contiguous(memory_format=torch.channels_last) if self.precision == "bfloat16" else images

    def loop(
        self,
        detector: Detector,
        images: np.ndarray,
        phases: Sequence[Phase],
        *,
        labels: np.ndarray | None = None,
        name: str = "train",
        training: Training | None = None,
        hooks: Sequence[Hook] = (),
    ) -> None:
        """Train `detector` on uint8 `images` (N,H,W,C) by running every phase on every batch, then the hooks.

        Randomness is counter-based: step k draws from a stream named by k alone. A resumed run therefore needs no
        generator state to repeat an uninterrupted one bit for bit. Raises FitError when a loss is not finite, and
        ConfigError when nobody has decided the method's augmentation or budget.
        """
        plan = training or self.training
        plan.require_stated()
        total = plan.total_steps(len(images))
        labels = np.zeros(len(images), np.int64) if labels is None else labels
        optimizers = list({id(phase.optimizer): phase.optimizer for phase in phases}.values())
        for hook in hooks:
            hook.begin(detector)
        start, rates = self.checkpoint.restore(name, detector, optimizers, total, hooks)
        detector.train()
        with self.progress.loop(name, total, start, plan.batch_size) as report:
            for step in range(start, total):
                batch = self._batch(images, labels, plan, name, step, total)
                _set_rates(optimizers, rates, plan.rate_factor(step / total))
                losses: dict[str, Tensor] = {}
                for number, phase in enumerate(phases):
                    title = f"{phase.name or number}." if len(phases) > 1 else ""
                    parts = self._phase(phase, batch, f"{name}.{number}")
                    losses |= {title + key: value for key, value in parts.items()}
                report(step, losses)
                if self._after_step(hooks, detector, step + 1, plan.epoch_steps(len(images)), total):
                    break
                self.checkpoint.maybe_save(name, detector, optimizers, step + 1, rates, hooks)
        if start < total:
            for hook in hooks:
                hook.finish(detector)
        self.checkpoint.finish(name, detector, optimizers, total, rates)

    def _after_step(self, hooks: Sequence[Hook], detector: Detector, done: int, epoch: int, total: int) -> bool:
        """Call the hooks; return whether one of them ends the training."""
        for hook in hooks:
            hook.after_step(detector)
        ended = [hook.after_epoch(self, detector, done) for hook in hooks if hook.due(done, epoch, total)]
        if any(ended) and done < total:
            self.progress.note(f"the held-out error falls no more: ended after {done} of {total} steps")
        return any(ended)

    def _batch(self, images: np.ndarray, labels: np.ndarray, plan: Training, name: str, step: int, total: int) -> Batch:
        index = sample_order(len(images), step * plan.batch_size, plan.batch_size, self.seed, name)
        self.reseed(name, step, "augment")
        pixels = augment(self.images(images[index]), plan.require_stated())
        if self.precision == "bfloat16":
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        target = torch.from_numpy(labels[index]).to(self.device)
        return Batch(pixels, target, step, step // plan.epoch_steps(len(images)), step / total)

    def _phase(self, phase: Phase, batch: Batch, name: str) -> dict[str, Tensor]:
        """Run one phase; on GPU memory exhaustion halve the physical batch and try the phase again."""
        if not phase.when(batch):
            return {}
        while True:
            try:
                return self._accumulate(phase, batch, name)
            except torch.cuda.OutOfMemoryError as error:
                if self.micro_batches >= len(batch.images):
                    raise FitError(f"out of memory on {self.device} even with one image at a time") from error
                self.micro_batches *= 2
                self.progress.note(f"out of memory: the batch is now split into {self.micro_batches} parts")
                batch.shared.clear()
                torch.cuda.empty_cache()

    def _accumulate(self, phase: Phase, batch: Batch, name: str) -> dict[str, Tensor]:
        phase.optimizer.zero_grad(set_to_none=True)
        parameters, sums = phase.parameters(), dict[str, Tensor]()
        for number, part in enumerate(_split(batch, self.micro_batches)):
            self.reseed(name, batch.step, number)
            losses = phase.loss(part)
            share = len(part.images) / len(batch.images)
            (losses["loss"] * share).backward(inputs=parameters)
            for key, value in losses.items():
                sums[key] = sums.get(key, torch.zeros((), device=self.device)) + value.detach().float() * share
        phase.optimizer.step()
        return sums


def sample_order(images: int, first: int, count: int, seed: int, name: str) -> np.ndarray:
    """Return `count` indices from position `first` of an endless stream of permutations of range(images)."""
    position = np.arange(first, first + count)
    rounds, offsets = np.divmod(position, images)
    order = np.empty(count, np.int64)
    for number in np.unique(rounds):
        where = rounds == number
        order[where] = _permutation(images, derive_seed(seed, name, "order", int(number)))[offsets[where]]
    return order


@lru_cache(maxsize=2)
def _permutation(images: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(images)


def _split(batch: Batch, parts: int) -> Iterator[Batch]:
    if parts == 1:
        yield batch
        return
    for images, labels in zip(batch.images.chunk(parts), batch.labels.chunk(parts), strict=True):
        yield Batch(images, labels, batch.step, batch.epoch, batch.fraction)


def _set_rates(optimizers: Sequence[Optimizer], rates: Sequence[Sequence[float]], factor: float) -> None:
    for optimizer, firsts in zip(optimizers, rates, strict=True):
        for group, first in zip(optimizer.param_groups, firsts, strict=True):
            group["lr"] = first * factor
