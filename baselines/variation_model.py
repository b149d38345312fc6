"""VM: the variation model: aligned images, and the distance to their mean relative to their deviation.

Source: Steger, Ulrich, Wiedemann, "Machine Vision Algorithms and Applications", section 3.4.1.4 (the model); Steger,
"Similarity measures for occlusion, clutter, and illumination invariant object recognition", DAGM 2001 (the alignment);
as set up by Bergmann et al., "MVTec AD", CVPR 2019, section 4.2, with HALCON.

Certain: 30 random training images, gray, at their original size, aligned to a reference pose by shape-based matching;
mean and standard deviation per pixel; the map is |I − mean| / deviation, on aligned test images. Only objects that can
be aligned to about a pixel. HALCON calls a pixel defective where |I − mean| > max(10, 2·deviation).

Ours: The map divides by max(deviation, 5 gray levels), which is HALCON's rule at the map's value 2. Shape-based
matching is rebuilt: unit gradients on the reference's strong edges (Otsu) are correlated with the image's by FFT over
all shifts, for angles 3° apart and then 0.5° apart; enhanced correlation of intensities (OpenCV) refines the pose
below a pixel. The reference is the training image nearest the pixel-wise median. An image with a similarity below 0.6
is left as it is; how many were is logged. The aligned map is set to 0 where the warp left the image, and warped back.
Image score: highest 3×3 mean of the map.

Deviations: Images have twice the protocol's size instead of their original one. Angles are an option (`max_angle`):
180° for objects that lie anyhow, 10° by default, 0° for rotationally symmetric ones.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from baselines.imaging import gray, inverse, to_images, warp
from baselines.scores import smoothed_maximum
from baselines.shape_matching import Search, ShapeMatcher
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Run
from harness.training.seeds import derive_seed

MODES = ("standard", "robust")
ROBUST_FACTOR = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class VariationModel(Detector):
    """Pixel-wise mean and deviation of aligned gray images.

    Args:
        shape: (C, H, W) of the input.
        images: number of training images used.
        mode: "standard" (mean, standard deviation) or "robust" (median, median absolute deviation).
        sigma_floor: smallest deviation in gray levels of 255.
        minimum_similarity: an image that matches the reference less well is not moved.
        search_size: longer side of the images in which the pose is searched.
        max_angle: degrees; rotations in [-max_angle, max_angle] are searched, 0 searches shifts only.
        angle_step: degrees, first pass.
        fine_step: degrees, second pass.
        max_shift: largest shift as a share of the side.
    """

    weights_origin = "no network"
    reference: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        images: int = 30,
        mode: str = "standard",
        sigma_floor: float = 5.0,
        minimum_similarity: float = 0.6,
        search_size: int = 256,
        max_angle: float = 10.0,
        angle_step: float = 3.0,
        fine_step: float = 0.5,
        max_shift: float = 0.25,
    ) -> None:
        super().__init__(shape)
        if mode not in MODES:
            raise ConfigError(f"option mode: '{mode}' is not one of {', '.join(MODES)}")
        if sigma_floor <= 0:
            raise ConfigError(f"option sigma_floor: {sigma_floor} is not positive")
        self.images, self.mode, self.sigma_floor = images, mode, sigma_floor
        self.minimum_similarity = minimum_similarity
        self.search = Search(search_size, max_angle, angle_step, fine_step, max_shift)
        self._matcher: ShapeMatcher | None = None
        for name in ("reference", "mean", "deviation"):
            self.register_buffer(name, torch.zeros(shape[1:]))

    @torch.no_grad()
    def fit(self, train: TrainingSet, run: Run) -> None:
        """Align a few random training images to one of them; keep mean and deviation per pixel."""
        self.to(run.device)
        random = np.random.default_rng(derive_seed(run.seed, "images"))
        chosen = np.sort(random.permutation(len(train.images))[: self.images])
        images = 255 * gray(to_images(train.images[chosen], run.device))
        nearest = int((images - median(images)).square().mean(dim=(1, 2, 3)).argmin())
        self.reference = images[nearest, 0].clone()
        with run.progress.steps("alignment", len(images)) as advance:
            angles, shifts, found = self._poses(images, advance)
        run.progress.note(f"{int(found.sum())} of {len(images)} training images could be aligned")
        self._set_model(warp(images, angles, shifts, "border")[:, 0].double())

    def _set_model(self, aligned: Tensor) -> None:
        """Set mean and deviation from aligned images (N,H,W), in gray levels."""
        if self.mode == "standard":
            mean = aligned.mean(dim=0)
            deviation = aligned.std(dim=0, correction=0)
        else:
            mean = median(aligned)
            deviation = ROBUST_FACTOR * median((aligned - mean).abs())
        self.mean, self.deviation = mean.float(), deviation.float()

    def _poses(self, images: Tensor, advance: Callable[[int], None] = lambda _: None) -> tuple[Tensor, Tensor, Tensor]:
        """Return angles (N,), shifts (N,2) and whether the pose was found (N,), of gray images (N,1,H,W)."""
        matcher, poses = self._matcher_of_reference(), []
        for image in images:
            poses.append(matcher.find(image[None]))
            advance(1)
        found = torch.tensor([pose.similarity >= self.minimum_similarity for pose in poses])
        angles = torch.tensor([pose.angle for pose in poses]) * found
        shifts = torch.tensor([pose.shift for pose in poses]) * found[:, None]
        return angles.to(images), shifts.to(images), found

    def _matcher_of_reference(self) -> ShapeMatcher:
        """Return the matcher of the current reference; its templates take as long as many images."""
        reference, last = self.reference[None, None], self._matcher
        fresh = last is None or last.reference.device != reference.device
        if last is None or fresh or not torch.equal(last.reference, reference):
            last = self._matcher = ShapeMatcher(reference.clone(), self.search)
        return last

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Align, compare with the model, and bring the map back to where the image lay."""
        with torch.autocast(images.device.type, enabled=False):
            levels = 255 * gray(images)
            angles, shifts, found = self._poses(levels)
            maps = self.compare(levels, angles, shifts)
        if not found.all():
            logging.getLogger(__name__).warning(
                "%d of %d images could not be aligned and stay as they are", int((~found).sum()), len(found)
            )
        return Prediction(maps, smoothed_maximum(maps))

    def compare(self, levels: Tensor, angles: Tensor, shifts: Tensor) -> Tensor:
        """Return the maps (N,H,W), in the images' own frame, of gray levels (N,1,H,W) at known poses."""
        aligned = warp(levels, angles, shifts, "border")[:, 0]
        inside = warp(torch.ones_like(levels), angles, shifts, "zeros")[:, 0] > 0.999
        distance = (aligned - self.mean).abs() / self.deviation.clamp(min=self.sigma_floor)
        return warp((distance * inside)[:, None], *inverse(angles, shifts), "zeros")[:, 0]


def median(values: Tensor) -> Tensor:
    """Return the lower median over the first dimension; sorting, unlike torch.median, is deterministic on a GPU."""
    return values.sort(dim=0).values[(len(values) - 1) // 2]
