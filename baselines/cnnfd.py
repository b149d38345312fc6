"""CNNFD: a dictionary of CNN features of normal patches, and the distance of a patch to it.

Source: Napoletano, Piccoli, Schettini, "Anomaly detection in nanofibrous materials by CNN-based self-similarity",
Sensors 2018, as set up by Bergmann et al., "MVTec AD", CVPR 2019, section 4.2.

Certain: Patches of 16×16 pixels; textures at 512², objects at 256²; 10,000 augmented training patches; features of
ImageNet's ResNet-18 after average pooling (512 numbers), frozen; PCA to 95 % of the variance; k-means with 10 centres;
a dense test grid of stride 4. Features are L1-normalised (Napoletano). Gray images are repeated into three channels.

Ours: Patches are enlarged to 224×224 bilinearly and standardised with ImageNet's mean and deviation. A patch's score
is its Euclidean distance to the nearest centre. Scores are placed at the patches' centres and interpolated bilinearly,
the border replicated (`placement: overlap` averages over all covering patches instead, as Napoletano does). Image
score: highest 3×3 mean of the map. Training patches are turned and mirrored at random and lie inside the image; their
size is never scaled. By how much they are turned is not published.

Deviations: The lite and demo protocols take EfficientNet-Lite0's features (1,280 numbers, after its last convolution),
because everybody has its weights, fewer patches, a coarser grid and a smaller network input. `encoder_weights: none`
takes a random network; its numbers say little about CNNFD.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from torch import Tensor

from baselines.imaging import to_images
from baselines.patches import check_patch, random_patches
from baselines.scores import smoothed_maximum
from harness.errors import ConfigError, FitError
from harness.training.backbones import backbone, layer_names
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Run
from harness.training.seeds import derive_seed

PLACEMENTS = ("centre", "overlap")


class FeatureDictionary(Detector):
    """Distances of a network's patch features to a k-means dictionary.

    Args:
        shape: (C, H, W) of the input.
        patch: side of a patch in pixels.
        stride: step of the test grid in pixels.
        network_input: side to which a patch is enlarged for the network.
        patches: number of training patches.
        variance: share of the variance that PCA keeps.
        centres: number of k-means centres.
        neighbours: a patch's score is its mean distance to so many nearest centres.
        normalise: "l1" or "none", applied to the features before PCA.
        placement: "centre" or "overlap", how patch scores become a map.
        encoder: "resnet18" or "efficientnet_lite0".
        encoder_weights: "imagenet" or "none".
        rotation: training patches are turned by up to so many degrees, either way.
        mirror: flip training patches along either axis at random.
        chunk: patches in one pass of the network.
    """

    feature_mean: Tensor
    components: Tensor
    dictionary: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        patch: int = 16,
        stride: int = 4,
        network_input: int = 224,
        patches: int = 10_000,
        variance: float = 0.95,
        centres: int = 10,
        neighbours: int = 1,
        normalise: str = "l1",
        placement: str = "centre",
        encoder: str = "resnet18",
        encoder_weights: str = "imagenet",
        rotation: float = 0.0,
        mirror: bool = False,
        chunk: int = 256,
    ) -> None:
        super().__init__(shape)
        self.patch, self.stride, self.network_input, self.patches = patch, stride, network_input, patches
        self.variance, self.centres, self.neighbours = variance, centres, neighbours
        self.normalise, self.placement, self.chunk = normalise, placement, chunk
        self.rotation, self.mirror = rotation, mirror
        self._check_options()
        self.last = layer_names(encoder)[-1]
        self.network = backbone(encoder, [self.last], encoder_weights).freeze()
        self.weights_origin = self.network.origin
        for name in ("feature_mean", "components", "dictionary"):
            self.register_buffer(name, torch.empty(0))

    def _check_options(self) -> None:
        height, width = self.shape[1:]
        check_patch(self.patch, height, width)
        if self.placement not in PLACEMENTS:
            raise ConfigError(f"option placement: '{self.placement}' is not one of {', '.join(PLACEMENTS)}")
        if self.placement == "overlap" and any((side - self.patch) % self.stride for side in (height, width)):
            raise ConfigError(f"option stride: {self.stride} leaves a border of {height}×{width} uncovered")
        if self.normalise not in ("l1", "none"):
            raise ConfigError(f"option normalise: '{self.normalise}' is not one of l1, none")
        if not 1 <= self.neighbours <= self.centres:
            raise ConfigError(f"option neighbours: {self.neighbours} is not between 1 and centres, {self.centres}")

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the test grid."""
        rows, columns = ((side - self.patch) // self.stride + 1 for side in self.shape[1:])
        return rows, columns

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Describe random patches by features, compress them, cluster them."""
        if self.patches < self.centres:
            raise FitError(f"{self.patches} training patches are too few for {self.centres} centres")
        self.to(run.device).eval()
        features = self._training_features(train.images, run)
        pca = PCA(n_components=self.variance, svd_solver="full").fit(features)
        kmeans = KMeans(self.centres, n_init=10, random_state=derive_seed(run.seed, "k-means") % 2**32)
        kmeans.fit(pca.transform(features))
        kept = float(pca.explained_variance_ratio_.sum())
        run.progress.note(f"PCA keeps {pca.n_components_} of {features.shape[1]} components, {kept:.1%} of variance")
        self.feature_mean = torch.from_numpy(pca.mean_).float().to(run.device)
        self.components = torch.from_numpy(pca.components_).float().to(run.device)
        self.dictionary = torch.from_numpy(kmeans.cluster_centers_).float().to(run.device)

    @torch.no_grad()
    def _training_features(self, images: np.ndarray, run: Run) -> np.ndarray:
        """Return the features (patches, D) of random patches, float64; each image gives about as many."""
        run.reseed("patches")
        counts = torch.bincount(torch.randint(len(images), (self.patches,)), minlength=len(images))
        features = []
        with run.progress.steps("patches", self.patches) as advance:
            for pixels, count in zip(images, counts.tolist(), strict=True):
                if count:
                    image = to_images(pixels[None], run.device)
                    patches = random_patches(image, self.patch, count, self.rotation, self.mirror)
                    features.append(self.features(patches).cpu().numpy())
                    advance(count)
        return np.concatenate(features).astype(np.float64)

    def features(self, patches: Tensor) -> Tensor:
        """Return the normalised features (N,D) of patches (N,C,p,p), in passes of `chunk` patches."""
        return torch.cat([self._features(part) for part in patches.split(self.chunk)])

    def _features(self, patches: Tensor) -> Tensor:
        side = (self.network_input, self.network_input)
        enlarged = F.interpolate(patches, size=side, mode="bilinear", align_corners=False)
        features = self.network(enlarged)[self.last].mean((2, 3)).float()
        return F.normalize(features, p=1.0, dim=1) if self.normalise == "l1" else features

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Score the patches of one image after the other, so that no image shares a pass with another."""
        distances = torch.stack([self.patch_scores(image) for image in images])
        maps = self.place(distances)
        return Prediction(maps, smoothed_maximum(maps))

    def patch_scores(self, image: Tensor) -> Tensor:
        """Return the distances (rows, columns) of one image's (C,H,W) patches to the dictionary."""
        windows = F.unfold(image[None], self.patch, stride=self.stride)[0].T
        patches = windows.reshape(-1, len(image), self.patch, self.patch)
        with torch.autocast(image.device.type, enabled=False):
            compressed = (self.features(patches) - self.feature_mean) @ self.components.T
            distances = torch.cdist(compressed, self.dictionary, compute_mode="donot_use_mm_for_euclid_dist")
        nearest = distances.topk(self.neighbours, dim=1, largest=False).values
        return nearest.mean(dim=1).view(self.grid)

    def place(self, scores: Tensor) -> Tensor:
        """Turn grid scores (N, rows, columns) into maps (N,H,W) by the option `placement`."""
        if self.placement == "overlap":
            return self._mean_of_covering(scores)
        rows = self._grid_position(self.shape[1], self.grid[0], scores)
        columns = self._grid_position(self.shape[2], self.grid[1], scores)
        where = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        grid = where.expand(len(scores), -1, -1, -1)
        return F.grid_sample(scores[:, None], grid, padding_mode="border", align_corners=True)[:, 0]

    def _grid_position(self, side: int, count: int, like: Tensor) -> Tensor:
        """Return where each pixel of a side lies on the grid of patch centres: −1 is the first, 1 the last centre."""
        pixel = torch.arange(side, dtype=like.dtype, device=like.device)
        return 2 * (pixel - (self.patch - 1) / 2) / (self.stride * max(count - 1, 1)) - 1

    def _mean_of_covering(self, scores: Tensor) -> Tensor:
        spread = scores.flatten(1)[:, None].expand(-1, self.patch**2, -1)
        total, coverage = (
            F.fold(values, self.shape[1:], self.patch, stride=self.stride)
            for values in (spread, torch.ones_like(spread))
        )
        return (total / coverage)[:, 0]
