"""PaDiM: a Gaussian of deep features at every position; a patch's anomaly is its Mahalanobis distance.

Source: Defard, Setkov, Loesch, Audigier, "PaDiM: a Patch Distribution Modeling Framework for Anomaly Detection and
Localization", ICPR 2020 workshops.

Certain: The outputs of three stages of a frozen ImageNet network are brought to the finest one's grid and concatenated;
a random choice of 100 of the numbers (ResNet-18; 550 for WideResNet-50) is kept. Mean and covariance at each position
of the grid, with 0.01 on the diagonal. The map is the Mahalanobis distance, enlarged bilinearly and smoothed with a
Gaussian of 4 pixels (of 224); its maximum is the image score. No augmentation.

Ours: The whole image at the protocol's size (theirs: resized to 256, centre of 224). Coarser stages are repeated over
the finest grid.

Deviations: The network is EfficientNet-Lite0 (stages with strides 4, 8 and 16, of whose 176 numbers 100 are kept) in
place of ResNet-18 or WideResNet-50, because everybody has its weights; `encoder` names another one. At 128² and less
only the stages with strides 4 and 8 are used (64 numbers, all kept), for a grid of 64² would not fit the budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.inputs import image_batches
from baselines.modern.features import PatchFeatures, enlarge
from harness.errors import ConfigError, FitError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Run


class Padim(Detector):
    """PaDiM.

    Args:
        shape: (C, H, W) of the images.
        encoder, encoder_weights, layers: the frozen network, "imagenet" or "none", and its stages, the finest first.
        kept: numbers of a descriptor that are kept, chosen at random.
        ridge: added to the diagonal of every covariance.
        sigma: of the Gaussian that smooths the maps, in pixels.
    """

    kept: Tensor
    mean: Tensor
    whitening: Tensor

    def __init__(
        self, shape: tuple[int, int, int], *, encoder: str = "efficientnet_lite0", encoder_weights: str = "imagenet",
        layers: Sequence[str] = ("layer2", "layer3", "layer5"), kept: int = 100, ridge: float = 0.01,
        sigma: float = 4.0,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        self.features = PatchFeatures(encoder, encoder_weights, layers, resize="nearest")
        self.weights_origin = self.features.origin
        if not 1 <= kept <= self.features.channels:
            raise ConfigError(f"option kept: {kept} is not between 1 and the descriptor's {self.features.channels}")
        self.ridge, self.sigma = ridge, sigma
        self.register_buffer("kept", torch.randperm(self.features.channels)[:kept])
        self.register_buffer("mean", torch.empty(0))
        self.register_buffer("whitening", torch.empty(0))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Estimate mean and covariance at every position, in two passes over the images."""
        if len(train.images) < 2:
            raise FitError("a covariance needs two or more training images")
        self.to(run.device).eval()
        with run.progress.steps("means and covariances", 2 * len(train.images)) as advance:
            total = torch.zeros((), device=run.device)
            for batch in image_batches(train.images, run.device):
                total = total + self._describe(batch).sum(1, keepdim=True)
                advance(len(batch))
            self.mean = total / len(train.images)
            scatter = torch.zeros((), device=run.device)
            for batch in image_batches(train.images, run.device):
                centred = self._describe(batch) - self.mean
                scatter = scatter + centred.transpose(1, 2) @ centred
                advance(len(batch))
        covariance = scatter / (len(train.images) - 1) + self.ridge * torch.eye(len(self.kept), device=run.device)
        # the inverse of the Cholesky factor: the distance is then a norm, and never the root of a negative number
        identity = torch.eye(len(self.kept), device=run.device).expand_as(covariance)
        self.whitening = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), identity, upper=False)

    def _describe(self, images: Tensor) -> Tensor:
        """Return the kept numbers of the descriptors by position, (h·w, N, kept)."""
        return _by_position(self.features(images)[:, self.kept])

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return Mahalanobis distances as maps (N,H,W), and their maxima (N,)."""
        described = self.features(images)[:, self.kept]
        whitened = (_by_position(described) - self.mean) @ self.whitening.transpose(1, 2)
        distances = whitened.norm(dim=2).T.reshape(len(images), *described.shape[-2:])
        maps = enlarge(distances, self.shape[1:], self.sigma)
        return Prediction(maps, maps.flatten(1).amax(1))


def _by_position(described: Tensor) -> Tensor:
    """Return descriptors (N,D,h,w) as (h·w, N, D)."""
    return described.flatten(2).permute(2, 0, 1).contiguous()
