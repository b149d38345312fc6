"""AVID: an inpainter and a fully convolutional detector, trained against each other; where both object is anomalous.

Source: Sabokrou, Pourreza, Fayyaz, Entezari, Fathy, Gall, Adeli, "AVID: Adversarial Visual Irregularity Detection",
ACCV 2018; the second author's repository.

Certain: a U-Net maps a noisy normal image to a clean one; a fully convolutional detector without pooling or dense
layers gives a grid of 11×11 judgements; both learn adversarially, from normal images alone; at test the anomaly is the
intersection of a large reconstruction error and a low judgement; batches of 16. From the repository: images in [-1,1],
noise of 0.8 in training and at test, a detector without batch normalisation whose cells see 51 pixels, a least-squares
game, Adam with betas (0.9, 0.9), judgements of what the inpainter gave. No setting for MVTec AD or ShanghaiTech was
ever published, neither by AVID's authors nor by CAVGA's, so the printed numbers cannot be reproduced as specified.

Ours: 224×224 images, which give the published grid; the U-Net's plan is that of a public port; smaller images leave
out its innermost layers and take a smaller first stride in the detector. Noise at test is one pattern, drawn once, for
all images. alpha and zeta are the 99 % quantiles of error and irregularity on normal validation images (the repository
cuts judgements at about 0.70 to 0.75 by hand), and the map is min(e/alpha, (1-D)/(1-zeta)): where it exceeds 1 lies
exactly the intersection. Scores named "error" and "detector" are each part's own. Switches: `decision: detector` maps
the judgements alone, as the repository's evaluation does; `detector: patch`, `game: cross_entropy`, `betas`, `noise`
and `judged: input` give the setting of public ports.

Deviations: the last weights are used, after the learning rates have been lowered twice. `reconstruction_weight` adds
the mean squared error to the inpainter's loss, which the repository has switched off and the paper does not have; it
is 0 unless a protocol says otherwise. The paper stops training when the error falls below a threshold (`stop_error`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from baselines.avid_networks import GridDetector, Inpainter, PatchDetector, levels_for, place_grid
from baselines.inputs import image_batches, one_of
from harness.errors import FitError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

DETECTORS: dict[str, type[GridDetector | PatchDetector]] = {"grid": GridDetector, "patch": PatchDetector}
CHOSEN = 256
"""Most validation images from which the two thresholds are taken."""


class Avid(Detector):
    """AVID.

    Args:
        shape: (C, H, W) of the input images.
        width: channels of the inpainter's first layer.
        detector, detector_width: "grid" (the second author's) or "patch" (public ports'), and its first channels.
        noise, test_noise: standard deviation of what is added to images, which lie in [-1,1], in training and at test.
        game: "least_squares" or "cross_entropy".
        betas: of both Adams.
        reconstruction_weight: of the mean squared error in the inpainter's loss.
        stop_error: end training when a batch's mean squared error falls below it; None never does.
        judged: what the detector sees at test, "restored" or "input".
        decision: the map is that of "both" parts or of the "detector" alone.
        quantile: of error and irregularity on normal validation images that become alpha and 1-zeta.
        detector_rate: the detector's learning rate as a multiple of the inpainter's.
    """

    own_threshold = 1.0
    alpha: Tensor
    irregular: Tensor
    stopped: Tensor
    pattern: Tensor

    def __init__(
        self, shape: tuple[int, int, int], *, width: int = 32, detector: str = "grid", detector_width: int = 96,
        noise: float = 0.8, test_noise: float = 0.8, game: str = "least_squares", betas: Sequence[float] = (0.9, 0.9),
        reconstruction_weight: float = 0.0, stop_error: float | None = None, judged: str = "restored",
        decision: str = "both", quantile: float = 0.99, detector_rate: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        channels, levels = shape[0], levels_for(*shape[1:])
        self.noise, self.test_noise, self.betas = noise, test_noise, (betas[0], betas[1])
        self.reconstruction_weight, self.stop_error = reconstruction_weight, stop_error
        self.squares = one_of("game", game, ("least_squares", "cross_entropy")) == "least_squares"
        self.judged = one_of("judged", judged, ("restored", "input"))
        self.decision = one_of("decision", decision, ("both", "detector"))
        self.quantile, self.detector_rate = quantile, detector_rate
        self.inpainter = Inpainter(channels, levels, width)
        judge = DETECTORS[one_of("detector", detector, DETECTORS)](channels, levels, detector_width)
        self.detector, self.grid = judge, (judge.first, judge.step)
        self.register_buffer("pattern", torch.randn(shape))
        self.register_buffer("alpha", torch.ones(1))
        self.register_buffer("irregular", torch.ones(1))
        self.register_buffer("stopped", torch.zeros(1))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train both networks, then take alpha and zeta from the normal validation images."""
        if len(train.validation) == 0:
            raise FitError("AVID needs normal validation images for its two thresholds; set `validation: true`")
        rate = run.training.learning_rate
        judge = Adam(self.detector.parameters(), lr=rate * self.detector_rate, betas=self.betas, fused=True)
        painter = Adam(self.inpainter.parameters(), lr=rate, betas=self.betas, fused=True)

        phases = [
            Phase(judge, lambda batch: self._judge(batch, run), self._goes_on),
            Phase(painter, lambda batch: self._inpaint(batch, run), self._goes_on),
        ]
        run.loop(self, train.images, phases)
        self._set_thresholds(train.validation, run)

    def _judge(self, batch: Batch, run: Run) -> Losses:
        restored = self._restore(batch, run).detach()
        with run.autocast():
            real = self.detector(batch.images * 2 - 1).float()
            false = self.detector(restored).float()
        loss = self._aim(real, 1.0) + self._aim(false, 0.0)
        return {"loss": loss, "detector": loss, "D(x)": self._regular(real).mean(), "D(I)": self._regular(false).mean()}

    def _inpaint(self, batch: Batch, run: Run) -> Losses:
        restored = self._restore(batch, run)
        with run.autocast():
            judged = self.detector(restored).float()
        error = (restored - (batch.images * 2 - 1)).square().mean()
        if self.stop_error is not None:
            self.stopped.copy_((error.detach() < self.stop_error) | self.stopped.bool())
        loss = self._aim(judged, 1.0) + self.reconstruction_weight * error
        return {"loss": loss, "inpainter": loss, "error": error}

    def _goes_on(self, _: Batch) -> bool:
        return self.stop_error is None or not bool(self.stopped)

    def _aim(self, judgements: Tensor, target: float) -> Tensor:
        wanted = torch.full_like(judgements, target)
        return (F.mse_loss if self.squares else F.binary_cross_entropy_with_logits)(judgements, wanted)

    def _regular(self, judgements: Tensor) -> Tensor:
        """Return judgements in [0,1], 1 for regular; least squares' as the repository scales them for its cut."""
        return ((judgements + 1) / 2).clamp(0, 1) if self.squares else judgements.sigmoid()

    def _restore(self, batch: Batch, run: Run) -> Tensor:
        """Return the inpainter's output; the second phase finds that of the first, as nothing moved it since."""
        if "restored" not in batch.shared:
            clean = batch.images * 2 - 1
            with run.autocast():
                restored = self.inpainter(clean + self.noise * torch.randn_like(clean))
            batch.shared["restored"] = restored.float()
        return batch.shared["restored"]

    def _set_thresholds(self, images: np.ndarray, run: Run) -> None:
        self.eval()
        chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), CHOSEN)).round().astype(int))
        parts = [self.parts(batch) for batch in image_batches(images[chosen], run.device, pixels=2**18)]
        error, irregular = (torch.cat(maps).cpu().numpy() for maps in zip(*parts, strict=True))
        self.alpha.fill_(max(float(np.quantile(error, self.quantile)), 1e-9))
        # where nearly all judgements say "regular", a cell has to be visibly less so
        self.irregular.fill_(max(float(np.quantile(irregular, self.quantile)), 1e-3))

    @torch.no_grad()
    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstruction error and 1 - D of images (N,C,H,W) in [0,1], as maps (N,H,W)."""
        scaled = images * 2 - 1
        restored = self.inpainter(scaled + self.test_noise * self.pattern)
        judgements = self.detector(restored if self.judged == "restored" else scaled)
        height, width = images.shape[-2:]
        irregular = place_grid(1 - self._regular(judgements), height, width, *self.grid)
        return (scaled - restored).square().mean(1), irregular

    def predict(self, images: Tensor) -> Prediction:
        """Return min(e/alpha, (1-D)/(1-zeta)), above 1 where both parts object, or the second ratio alone."""
        error, irregular = self.parts(images)
        maps = irregular / self.irregular
        if self.decision == "both":
            maps = torch.minimum(error / self.alpha, maps)
        scores = {"": maps, "error": error, "detector": irregular}
        return Prediction(maps, {name: values.amax((1, 2)) for name, values in scores.items()})
