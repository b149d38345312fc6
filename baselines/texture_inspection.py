"""TI: texture inspection by Gaussian mixtures over randomly projected patches of an image pyramid.

Source: Böttger, Ulrich, "Real-time texture error detection on textured surfaces with compressed sensing", Pattern
Recognition and Image Analysis 2016; its implementation in HALCON, as set up by Bergmann et al., "MVTec AD", CVPR 2019,
section 4.2.

Certain: Gray images of 400×400; four pyramid levels; 7×7 patches on each; ten random training images; the map is a
negative log-likelihood under a mixture, one mixture and one novelty threshold per level (HALCON). A defect is the
union, over adjacent levels, of the intersection of their regions above threshold (HALCON). EM tolerance 0.001, no
patch normalisation and sensitivity 0 are HALCON's defaults. The threshold is the method's own.

Ours: The paper is not readable to us and HALCON is closed. A level is the one before it, blurred (sigma 1) and halved.
Patches are compressed to 17 numbers by one matrix of entries N(0, 1/17), the same on all levels; the mixture has 10
components with full covariances, fitted to at most 100,000 vectors. A level's threshold is the 99.9 % quantile over
all its training pixels; `sensitivity` moves it by so many training deviations. Each level's score is written as n = (s
− threshold) / deviation; the map is the maximum over adjacent levels of the minimum of the two, so it is positive
exactly on HALCON's region, and 0 is the threshold. Last, each value n becomes sign(n)·log(1 + |n|): the order of
pixels and the region stay, and outliers do not eat up the resolution of stored maps. Image score: the highest value of
the map.

Deviations: Patches at the border see reflected pixels, in training too. Only textures are given to TI. The lite and
demo protocols use smaller images in the same proportion to the protocol's size, and fewer vectors.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.imaging import blur, gray, to_images
from baselines.mixture import Mixture
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Run
from harness.training.seeds import derive_seed

NORMS = ("none", "weber")
COMBINATIONS = ("adjacent", "mean")
WEBER_CONTRAST = 0.03


class TextureInspection(Detector):
    """Novelty of gray patches on several scales.

    Args:
        shape: (C, H, W) of the input.
        size: side to which the input is resized; None takes it as it is.
        levels: pyramid levels.
        patch: side of a patch, odd.
        dimensions: numbers to which a patch is compressed; patch² keeps it whole.
        components: Gaussians of a level's mixture.
        images: number of training images used.
        vectors: largest number of patches that EM sees on a level.
        quantile: share of a level's training pixels below its threshold.
        sensitivity: lowers every threshold by so many deviations (negative: fewer defects).
        norm: "none" or "weber" (contrast normalisation of patches).
        combine: "adjacent" (HALCON's rule) or "mean" of the levels, which has no threshold of its own.
        tolerance: EM stops at a smaller gain in mean log-likelihood.
        iterations: largest number of EM steps.
        ridge: added to covariances, relative to the mean variance.
    """

    weights_origin = "no network"
    own_threshold: float | None = 0.0
    projection: Tensor
    thresholds: Tensor
    deviations: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        size: int | None = None,
        levels: int = 4,
        patch: int = 7,
        dimensions: int = 17,
        components: int = 10,
        images: int = 10,
        vectors: int = 100_000,
        quantile: float = 0.999,
        sensitivity: float = 0.0,
        norm: str = "none",
        combine: str = "adjacent",
        tolerance: float = 1e-3,
        iterations: int = 100,
        ridge: float = 1e-6,
    ) -> None:
        super().__init__(shape)
        self.side = (size, size) if size else shape[1:]
        self.patch, self.dimensions = patch, dimensions
        self.images, self.vectors, self.quantile, self.sensitivity = images, vectors, quantile, sensitivity
        self.norm, self.combine = norm, combine
        self._check_options(levels)
        if combine == "mean":
            self.own_threshold = None
        self.mixtures = nn.ModuleList(Mixture(components, tolerance, iterations, ridge) for _ in range(levels))
        self.register_buffer("projection", torch.empty(0))
        self.register_buffer("thresholds", torch.zeros(levels))
        self.register_buffer("deviations", torch.ones(levels))

    def _check_options(self, levels: int) -> None:
        smallest = min(self.side) / 2 ** (levels - 1)
        if self.patch % 2 == 0 or smallest <= self.patch:
            raise ConfigError(
                f"option patch: {self.patch} must be odd and less than the side of the last level, {smallest:g}"
            )
        if self.norm not in NORMS:
            raise ConfigError(f"option norm: '{self.norm}' is not one of {', '.join(NORMS)}")
        if self.combine not in COMBINATIONS:
            raise ConfigError(f"option combine: '{self.combine}' is not one of {', '.join(COMBINATIONS)}")
        if not 1 <= self.dimensions <= self.patch**2:
            raise ConfigError(f"option dimensions: {self.dimensions} is not between 1 and patch², {self.patch**2}")

    @torch.no_grad()
    def fit(self, train: TrainingSet, run: Run) -> None:
        """Fit one mixture per level to a few random training images, and set the levels' thresholds."""
        self.to(run.device)
        random = np.random.default_rng(derive_seed(run.seed, "images"))
        chosen = np.sort(random.permutation(len(train.images))[: self.images])
        self.projection = self._draw_projection(run)
        pyramids = [self.pyramid(to_images(train.images[index][None], run.device)) for index in chosen]
        with run.progress.steps("levels", len(self.mixtures)) as advance:
            for level in range(len(self.mixtures)):
                vectors = torch.cat([self.vectors_of(pyramid[level]).flatten(0, 2) for pyramid in pyramids])
                self._fit_level(level, vectors, random, run)
                advance(1)

    def _draw_projection(self, run: Run) -> Tensor:
        inputs = self.patch**2
        if self.dimensions == inputs:
            return torch.eye(inputs, device=run.device)
        run.reseed("projection")
        return (torch.randn(self.dimensions, inputs) / math.sqrt(self.dimensions)).to(run.device)

    def _fit_level(self, level: int, vectors: Tensor, random: np.random.Generator, run: Run) -> None:
        """Fit level `level` to vectors (N,D); its threshold is a quantile over all of them, not only EM's sample."""
        sample = torch.from_numpy(np.sort(random.permutation(len(vectors))[: self.vectors]))
        mixture = self._mixture(level)
        chosen = vectors[sample.to(vectors.device)].cpu().numpy()
        if not mixture.fit(chosen, derive_seed(run.seed, "mixture", level)):
            run.progress.note(f"level {level}: EM had not converged after {mixture.iterations} steps")
        scores = -mixture.log_likelihood(vectors).double().cpu().numpy()
        deviation = max(float(scores.std()), 1e-6)
        self.deviations[level] = deviation
        self.thresholds[level] = float(np.quantile(scores, self.quantile)) - self.sensitivity * deviation

    def _mixture(self, level: int) -> Mixture:
        mixture = self.mixtures[level]
        assert isinstance(mixture, Mixture)
        return mixture

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """Return gray images (N,1,h,w), one tensor per level, each half the size of the one before."""
        level = gray(images)
        if level.shape[-2:] != self.side:
            level = F.interpolate(level, self.side, mode="bilinear", align_corners=False, antialias=True)
        levels = [level]
        while len(levels) < len(self.mixtures):
            half = [(side + 1) // 2 for side in level.shape[-2:]]
            level = F.interpolate(blur(level), half, mode="bilinear", align_corners=False)
            levels.append(level)
        return levels

    def vectors_of(self, images: Tensor) -> Tensor:
        """Return the compressed patch (N,h,w,D) at each pixel of gray images (N,1,h,w).

        Projecting all patches is a convolution with the rows of the projection.
        """
        padded = F.pad(images, [self.patch // 2] * 4, mode="reflect")
        kernels = self.projection.view(-1, 1, self.patch, self.patch)
        vectors = F.conv2d(padded, kernels)
        if self.norm == "weber":
            energy = F.conv2d(padded.square(), torch.ones_like(kernels[:1]))
            length = energy.clamp(min=1e-12).sqrt()
            vectors = vectors * torch.log1p(length / WEBER_CONTRAST) / length
        return vectors.permute(0, 2, 3, 1)

    def novelty(self, images: Tensor) -> Tensor:
        """Return n (N, levels, h, w) of images (N,C,H,W): positive above a level's threshold."""
        planes = []
        for level, image in enumerate(self.pyramid(images)):
            vectors = self.vectors_of(image)
            scores = -self._mixture(level).log_likelihood(vectors.flatten(0, 2)).view(vectors.shape[:3])
            scores = (scores - self.thresholds[level]) / self.deviations[level]
            planes.append(F.interpolate(scores[:, None], self.side, mode="bilinear", align_corners=False))
        return torch.cat(planes, dim=1)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Inspect one image after the other: level 0 of one image alone has 160,000 patches."""
        with torch.autocast(images.device.type, enabled=False):
            novelty = torch.cat([self.novelty(image[None]) for image in images])
        combined = adjacent_maximum(novelty) if self.combine == "adjacent" else novelty.mean(dim=1)
        maps = torch.sign(combined) * torch.log1p(combined.abs())
        return Prediction(maps, maps.amax(dim=(1, 2)))


def adjacent_maximum(novelty: Tensor) -> Tensor:
    """Combine levels (N,L,H,W) into one map (N,H,W) that is positive where two adjacent levels both are.

    Minimum stands for intersection, maximum for union; a single level counts by itself.
    """
    if novelty.shape[1] == 1:
        return novelty[:, 0]
    return torch.minimum(novelty[:, :-1], novelty[:, 1:]).amax(dim=1)
