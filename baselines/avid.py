"""AVID: an inpainter and a fully convolutional detector, trained against each other; where both object is anomalous.

Source: Sabokrou, Pourreza, Fayyaz, Entezari, Fathy, Gall, Adeli, "AVID: Adversarial Visual Irregularity Detection",
ACCV 2018.

Certain: a U-Net maps a noisy normal image to a clean one; a fully convolutional detector without pooling or dense
layers gives a grid of 11×11 judgements; both learn adversarially, from normal images alone; at test the anomaly is the
intersection of a large reconstruction error and a low judgement; batches of 16. No setting for MVTec AD or ShanghaiTech
was ever published, neither by its authors nor by CAVGA's, so the printed numbers cannot be reproduced as specified.

Ours: 224×224 images, which give the published grid; layer widths as in public ports; smaller images leave out the
innermost layers of the U-Net and one halving of the detector each, which keeps the grid. Noise of 0.1 (images in
[-1,1]). alpha and zeta, whose values are not available, are the 99 % quantiles of error and judgement on normal
validation images, and the map is min(e/alpha, (1-D)/(1-zeta)): where it exceeds 1 lies exactly the intersection. The
detector's grid is placed where its receptive fields lie. Scores named "error" and "detector" are each part's own.

Deviations: the inpainter also minimises 0.4 times the mean squared error (`reconstruction_weight`), as the same group's
later work does, for without it the U-Net may repaint anything that the detector accepts. The paper has no such term and
stops training when the error falls below a threshold (`stop_error`, with a weight of 0). The last weights are used,
after the learning rates have been lowered twice.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Adam

from baselines.avid_networks import Inpainter, PatchDetector, levels_for, place_grid
from harness.errors import ConfigError, FitError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

BETAS = (0.5, 0.999)


class Avid(Detector):
    """AVID.

    Args:
        shape: (C, H, W) of the input images.
        width: channels of the first layers.
        noise: standard deviation of what is added to training images, which lie in [-1,1].
        reconstruction_weight: of the mean squared error in the inpainter's loss.
        stop_error: end training when a batch's mean squared error falls below it; None never does.
        judged: what the detector sees at test, "input" or "restored".
        quantile: of error and judgement on normal validation images that become alpha and 1-zeta.
        detector_rate: the detector's learning rate as a multiple of the inpainter's.
    """

    own_threshold = 1.0
    alpha: Tensor
    irregular: Tensor
    stopped: Tensor

    def __init__(
        self, shape: tuple[int, int, int], *, width: int = 32, noise: float = 0.1, reconstruction_weight: float = 0.4,
        stop_error: float | None = None, judged: str = "input", quantile: float = 0.99, detector_rate: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        if judged not in {"input", "restored"}:
            raise ConfigError(f"option judged: '{judged}' is unknown; choose input or restored")
        channels, levels = shape[0], levels_for(*shape[1:])
        self.noise, self.reconstruction_weight, self.stop_error = noise, reconstruction_weight, stop_error
        self.judged, self.quantile, self.detector_rate = judged, quantile, detector_rate
        self.inpainter = Inpainter(channels, levels, width)
        self.detector = PatchDetector(channels, levels, width)
        self.register_buffer("alpha", torch.ones(1))
        self.register_buffer("irregular", torch.ones(1))
        self.register_buffer("stopped", torch.zeros(1))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train both networks, then take alpha and zeta from the normal validation images."""
        if len(train.validation) == 0:
            raise FitError("AVID needs normal validation images for its two thresholds; set `validation: true`")
        rate = run.training.learning_rate
        judge = Adam(self.detector.parameters(), lr=rate * self.detector_rate, betas=BETAS)
        painter = Adam(self.inpainter.parameters(), lr=rate, betas=BETAS)

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
        loss = _bce(real, 1.0) + _bce(false, 0.0)
        return {"loss": loss, "detector": loss, "D(x)": real.sigmoid().mean(), "D(I)": false.sigmoid().mean()}

    def _inpaint(self, batch: Batch, run: Run) -> Losses:
        restored = self._restore(batch, run)
        with run.autocast():
            judged = self.detector(restored).float()
        error = (restored - (batch.images * 2 - 1)).square().mean()
        if self.stop_error is not None:
            self.stopped.copy_((error.detach() < self.stop_error) | self.stopped.bool())
        loss = _bce(judged, 1.0) + self.reconstruction_weight * error
        return {"loss": loss, "inpainter": loss, "error": error}

    def _goes_on(self, _: Batch) -> bool:
        return self.stop_error is None or not bool(self.stopped)

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
        chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), 256)).round().astype(int))
        parts: list[tuple[Tensor, Tensor]] = []
        for number in chosen:
            image = torch.from_numpy(np.array(images[number])).to(run.device).permute(2, 0, 1)[None].float() / 255
            parts.append(self.parts(image))
        error, irregular = (torch.cat(maps).cpu().numpy() for maps in zip(*parts, strict=True))
        self.alpha.fill_(max(float(np.quantile(error, self.quantile)), 1e-9))
        self.irregular.fill_(max(float(np.quantile(irregular, self.quantile)), 1e-9))

    @torch.no_grad()
    def parts(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return reconstruction error and 1 - D of images (N,C,H,W) in [0,1], as maps (N,H,W)."""
        scaled = images * 2 - 1
        restored = self.inpainter(scaled)
        logits = self.detector(scaled if self.judged == "input" else restored)
        return (scaled - restored).square().mean(1), place_grid((-logits).sigmoid(), *images.shape[-2:])

    def predict(self, images: Tensor) -> Prediction:
        """Return min(e/alpha, (1-D)/(1-zeta)): above 1 both parts object."""
        error, irregular = self.parts(images)
        maps = torch.minimum(error / self.alpha, irregular / self.irregular)
        scores = {"": maps, "error": error, "detector": irregular}
        return Prediction(maps, {name: values.amax((1, 2)) for name, values in scores.items()})


def _bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
