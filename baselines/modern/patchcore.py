"""PatchCore: a memory of normal patches' descriptors; a patch is as anomalous as it is far from the nearest of them.

Source: Roth, Pemula, Zepeda, Schölkopf, Brox, Gehler, "Towards Total Recall in Industrial Anomaly Detection", CVPR
2022.

Certain: Descriptors are the outputs of two middle stages of a frozen ImageNet network, each averaged over 3×3 cells,
the coarser one brought to the finer one's grid bilinearly, both concatenated. The memory is a coreset of all normal
descriptors, chosen greedily (the next one is the farthest from those chosen) on a random projection to 128 numbers;
1 %, 10 % and 25 % of them are reported. The map is the distance to the nearest descriptor, enlarged bilinearly and
smoothed with a Gaussian of 4 pixels (of 224). The image score is the largest distance, weighted by how lonely its
neighbour is among the 9 descriptors nearest to it. No augmentation.

Ours: The whole image at the protocol's size (theirs: resized to 256, centre of 224). No stage's channels are pooled to
1024. Of more than `candidates` descriptors a random subset is searched for the coreset. At 128² the stages with strides
4 and 8 and a Gaussian of 2 pixels take the place of those with 8 and 16 at 256²: the grids stay 32² and 16².

Deviations: The network is EfficientNet-Lite0 (152 numbers a descriptor) in place of WideResNet-50, because everybody
has its weights; `encoder` names another one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from baselines.inputs import image_batches
from baselines.modern.features import PatchFeatures, enlarge
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Run


class PatchCore(Detector):
    """PatchCore.

    Args:
        shape: (C, H, W) of the images.
        encoder, encoder_weights, layers: the frozen network, "imagenet" or "none", and its stages.
        share: of the normal descriptors that go into the memory.
        candidates: at most so many descriptors are searched for the coreset.
        projection: numbers to which descriptors are projected for that search.
        neighbours: of the nearest descriptor, for the weight of the image score; 1 weights nothing.
        sigma: of the Gaussian that smooths the maps, in pixels.
    """

    memory: Tensor

    def __init__(
        self, shape: tuple[int, int, int], *, encoder: str = "efficientnet_lite0", encoder_weights: str = "imagenet",
        layers: Sequence[str] = ("layer3", "layer5"), share: float = 0.01, candidates: int = 400_000,
        projection: int = 128, neighbours: int = 9, sigma: float = 4.0,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        if not 0 < share <= 1:
            raise ConfigError(f"option share: {share} is not a share; give more than 0, at most 1")
        self.features = PatchFeatures(encoder, encoder_weights, layers, pool=3)
        self.weights_origin = self.features.origin
        self.share, self.candidates, self.projection = share, candidates, projection
        self.neighbours, self.sigma = neighbours, sigma
        self.register_buffer("memory", torch.empty(0))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Describe the normal patches and keep a coreset of them."""
        self.to(run.device).eval()
        run.reseed("coreset")
        patches = self._describe(train.images, run)
        count = min(len(patches), max(1, int(self.share * len(patches))))
        if len(patches) > self.candidates:
            patches = patches[torch.randperm(len(patches))[: self.candidates].to(run.device)]
        searched = patches
        if patches.shape[1] > self.projection:
            directions = torch.randn(patches.shape[1], self.projection) / self.projection**0.5
            searched = patches @ directions.to(patches)
        self.memory = patches[coreset(searched, min(count, len(patches)), run)].clone()
        run.progress.note(f"memory: {len(self.memory)} of {len(patches)} descriptors")

    def _describe(self, images: np.ndarray, run: Run) -> Tensor:
        found = []
        with run.progress.steps("descriptors", len(images)) as advance:
            for batch in image_batches(images, run.device):
                found.append(_rows(self.features(batch)).flatten(0, 1))
                advance(len(batch))
        return torch.cat(found)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return the distances as maps (N,H,W), and the weighted largest distance of each image (N,)."""
        described = self.features(images)
        results = [self._nearest(rows) for rows in _rows(described)]
        distances = torch.stack([distance for distance, _ in results]).view(len(images), *described.shape[-2:])
        return Prediction(enlarge(distances, self.shape[1:], self.sigma), torch.stack([score for _, score in results]))

    def _nearest(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return the distances (P,) of one image's descriptors (P,D) to the memory, and the image's score."""
        distances, nearest = torch.cdist(patches, self.memory).min(dim=1)
        worst = distances.argmax()
        if self.neighbours < 2:
            return distances, distances[worst]
        centre = self.memory[nearest[worst]]
        count = min(self.neighbours, len(self.memory))
        around = torch.cdist(centre[None], self.memory)[0].topk(count, largest=False).indices
        to_around = torch.cdist(patches[worst][None], self.memory[around])[0]
        # a difference of exponents: exp(distance) itself overflows
        share = (distances[worst] - torch.logsumexp(to_around, 0)).exp()
        return distances, (1 - share) * distances[worst]


def _rows(described: Tensor) -> Tensor:
    """Return descriptors (N,D,h,w) as rows (N, h·w, D)."""
    return described.flatten(2).transpose(1, 2).contiguous()


def coreset(points: Tensor, count: int, run: Run) -> Tensor:
    """Return the indices (count,) of points (P,D): the first at random, the next always the farthest from them."""
    norms = points.square().sum(1)
    nearest = torch.full_like(norms, torch.inf)
    chosen = torch.empty(count, dtype=torch.int64, device=points.device)
    index = torch.randint(len(points), ()).to(points.device)
    with run.progress.steps("coreset", count) as advance:
        for number in range(count):
            chosen[number] = index
            nearest = torch.minimum(nearest, torch.addmv(norms, points, points[index], alpha=-2) + norms[index])
            nearest[index] = -torch.inf  # never again, whatever rounding says of its distance to itself
            index = nearest.argmax()
            advance(1)
    return chosen
