"""What a method may do after each step and each epoch: watch held-out images, keep the best weights, stop, average."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from harness.errors import FitError
from harness.training.detector import Detector

if TYPE_CHECKING:
    from harness.training.loop import Run


class Hook(ABC):
    """Something that a training loop calls. Its state goes into the checkpoint, so a resumed fit goes on exactly.

    Args:
        every: share of the run between two calls of `after_epoch`; 0 calls it after every epoch. A last call comes at
            the end of the run.
    """

    def __init__(self, every: float = 0.0) -> None:
        self.every = every

    def begin(self, detector: Detector) -> None:  # noqa: B027  a hook need not do anything here
        """Prepare; called before the state is restored."""

    def after_step(self, detector: Detector) -> None:  # noqa: B027  a hook need not do anything here
        """Act after every optimiser step."""

    @abstractmethod
    def after_epoch(self, run: Run, detector: Detector, step: int) -> bool:
        """Act once `step` steps are done; True ends the training."""

    def finish(self, detector: Detector) -> None:  # noqa: B027  a hook need not do anything here
        """Act when the loop has ended, for instance by giving the detector other weights."""

    def state(self) -> dict[str, Any]:
        """Return tensors and numbers from which `restore` goes on."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027  a hook need not do anything here
        """Take back what `state` returned."""

    def due(self, step: int, epoch: int, total: int) -> bool:
        """Tell whether `after_epoch` is to be called once `step` of `total` steps are done; `epoch` steps are one."""
        interval = max(1, round(self.every * total)) if self.every else epoch
        return step == total or step % interval == 0


class HeldOut(Hook):
    """The error on held-out normal images; at the end the detector gets the weights that had the lowest.

    Args:
        images: uint8 (N,H,W,C), not trained on.
        error: gives the errors (B,) of images (B,C,H,W) in [0,1]; called in eval mode and without gradients.
        every: see Hook.
        patience: stop after so many calls in a row without a lower error; None never stops.
        keep_best: False keeps the last weights.
        batch: images in one call of `error`.

    Raises FitError when there are no images.
    """

    def __init__(
        self, images: np.ndarray, error: Callable[[Tensor], Tensor], *, every: float = 0.0,
        patience: int | None = None, keep_best: bool = True, batch: int = 32,
    ) -> None:  # fmt: skip
        super().__init__(every)
        if len(images) == 0:
            raise FitError("no held-out normal images to choose by; set `validation: true` in the method's entry")
        self.images, self.error, self.batch = images, error, batch
        self.patience, self.keep_best = patience, keep_best
        self.lowest, self.waited = float("inf"), 0
        self.best: dict[str, Tensor] = {}

    def after_epoch(self, run: Run, detector: Detector, step: int) -> bool:
        """Measure, remember the best, say whether patience is at an end."""
        value = self._measure(run, detector, step)
        run.progress.validation(step, value)
        if value < self.lowest:
            self.lowest, self.waited = value, 0
            if self.keep_best:
                self.best = {name: tensor.detach().clone() for name, tensor in detector.state_dict().items()}
        else:
            self.waited += 1
        return self.patience is not None and self.waited >= self.patience

    @torch.no_grad()
    def _measure(self, run: Run, detector: Detector, step: int) -> float:
        run.reseed("held-out", step)
        detector.eval()
        errors = [
            self.error(run.images(part)) for part in np.array_split(self.images, -(-len(self.images) // self.batch))
        ]
        detector.train()
        return float(torch.cat(errors).double().mean())

    def finish(self, detector: Detector) -> None:
        """Give the detector its best weights."""
        if self.best:
            detector.load_state_dict(self.best)

    def state(self) -> dict[str, Any]:
        """Return the lowest error, the calls since, and the best weights."""
        return {"lowest": self.lowest, "waited": self.waited, "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        self.lowest, self.waited, self.best = state["lowest"], state["waited"], state["best"]


class AveragedWeights(Hook):
    """Weights and running statistics averaged over the run; the detector gets them at the end.

    Args:
        decay: of an exponential average over steps (EMA); None averages the ends of epochs equally (SWA).
        every: see Hook; only the equal average heeds it.
    """

    def __init__(self, decay: float | None = 0.999, every: float = 0.0) -> None:
        super().__init__(every)
        self.decay = decay
        self.average: AveragedModel

    def begin(self, detector: Detector) -> None:
        """Start with the detector's weights."""
        average = None if self.decay is None else get_ema_multi_avg_fn(self.decay)
        self.average = AveragedModel(detector, multi_avg_fn=average, use_buffers=True)

    def after_step(self, detector: Detector) -> None:
        """Move the exponential average."""
        if self.decay is not None:
            self.average.update_parameters(detector)

    def after_epoch(self, run: Run, detector: Detector, step: int) -> bool:
        """Add these weights to the equal average."""
        if self.decay is None:
            self.average.update_parameters(detector)
        return False

    def finish(self, detector: Detector) -> None:
        """Give the detector the averaged weights."""
        detector.load_state_dict(self.average.module.state_dict())

    def state(self) -> dict[str, Any]:
        """Return the average and of how many it is one."""
        return self.average.state_dict()

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned."""
        self.average.load_state_dict(state)
