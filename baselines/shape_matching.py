"""Rigid alignment of a gray image to a reference: gradient directions find the pose, intensities refine it.

The similarity is Steger's (2001): the mean, over the reference's edge points, of the cosine between its gradient
and the image's. Over all translations that is a sum of two cross-correlations, which the FFT computes at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from skimage.filters import threshold_otsu
from torch import Tensor

from baselines.imaging import blur, compose, warp

CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-5)
REFINEMENT_BLUR = 5
SMALLEST_SEARCH = 64
"""The first pass runs at half the search size, but not below this side."""


@dataclass(frozen=True)
class Pose:
    """Where the reference lies in an image: `warp`'s angle and shift (x, y), and the similarity in [-1, 1]."""

    angle: float
    shift: tuple[float, float]
    similarity: float


@dataclass(frozen=True)
class Search:
    """Range and steps of the search.

    Attributes:
        size: longer side of the images that are searched; larger ones are shrunk to it.
        max_angle: degrees; angles in [-max_angle, max_angle] are tried.
        angle_step: degrees between two angles of the first pass.
        fine_step: degrees between two angles of the second pass, around the first one's best.
        max_shift: largest shift as a share of the side.
    """

    size: int = 256
    max_angle: float = 10.0
    angle_step: float = 3.0
    fine_step: float = 0.5
    max_shift: float = 0.25

    def coarse(self) -> Tensor:
        """Return the first pass's angles in radians, with 0 among them."""
        count = math.floor(self.max_angle / self.angle_step)
        angles = torch.arange(-count, count + 1) * self.angle_step
        # -180 and 180 degrees are one angle
        return torch.deg2rad(angles[angles > -180 + 1e-6] if self.max_angle >= 180 else angles)

    def fine(self, centre: float) -> Tensor:
        """Return the second pass's angles around `centre`, in radians; none beyond the range."""
        count = math.ceil(self.angle_step / self.fine_step)
        angles = math.degrees(centre) + torch.arange(-count, count + 1) * self.fine_step
        inside = angles.abs() <= self.max_angle + 1e-6
        return torch.deg2rad(angles if self.max_angle >= 180 else angles[inside])


class Correlator:
    """Correlates the gradient directions of images (1,1,H,W) with those of a reference, at one resolution."""

    def __init__(self, reference: Tensor, size: int, max_shift: float) -> None:
        height, width = reference.shape[-2:]
        factor = min(1.0, size / max(height, width))
        self.side = max(8, round(height * factor)), max(8, round(width * factor))
        self.scale = height / self.side[0], width / self.side[1]
        self.reference = self._shrunk(reference)
        strength = _length(gradient(self.reference))
        self.contrast = float(threshold_otsu(strength.cpu().numpy()))
        self.edges = (strength > self.contrast).to(reference.dtype)
        self.reach = math.ceil(max_shift * self.side[0]), math.ceil(max_shift * self.side[1])
        # as much empty border as the largest shift, so that nothing wraps around
        self.padded = self.side[0] + self.reach[0], self.side[1] + self.reach[1]

    def _shrunk(self, image: Tensor) -> Tensor:
        if image.shape[-2:] == self.side:
            return image
        return F.interpolate(image, self.side, mode="bilinear", align_corners=False, antialias=True)

    def templates(self, angles: Tensor) -> Tensor:
        """Return the spectra (A,2,h,w) of the reference's unit gradients on its edges, turned by each angle."""
        nothing = angles.new_zeros(len(angles), 2)
        # warp samples at R(angle)x, which turns the picture by −angle
        turned = warp(self.reference.expand(len(angles), -1, -1, -1), -angles, nothing, "border")
        edges = warp(self.edges.expand(len(angles), -1, -1, -1), -angles, nothing, "zeros") > 0.5
        slope = gradient(turned)
        directions = slope / _length(slope) * edges
        points = edges.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        return torch.fft.rfft2(directions / points, s=self.padded).conj()

    def similarities(self, image: Tensor, templates: Tensor) -> Tensor:
        """Return the similarity (A, 2·reach+1, 2·reach+1) of an image for each angle and shift."""
        slope = gradient(self._shrunk(image))
        strength = _length(slope)
        # half the contrast of the reference's edges: below it directions are noise
        directions = slope / strength * (strength > self.contrast / 2)
        spectrum = torch.fft.rfft2(directions, s=self.padded)
        both = spectrum[:, 0] * templates[:, 0] + spectrum[:, 1] * templates[:, 1]
        rows, columns = self.reach
        shifted = torch.fft.irfft2(both, s=self.padded).roll((rows, columns), dims=(1, 2))
        return shifted[:, : 2 * rows + 1, : 2 * columns + 1]

    def best(self, image: Tensor, angles: Tensor, templates: Tensor) -> Pose:
        """Return the pose of the highest similarity; its shift is in pixels of the full image."""
        values = self.similarities(image, templates)
        place = int(values.argmax())
        angle, row, column = (int(index) for index in np.unravel_index(place, values.shape))
        shift = (column - self.reach[1]) * self.scale[1], (row - self.reach[0]) * self.scale[0]
        return Pose(float(angles[angle]), shift, float(values.flatten()[place]))


class ShapeMatcher:
    """Finds the pose of one gray reference (1,1,H,W) in images of the same shape."""

    def __init__(self, reference: Tensor, search: Search) -> None:
        self.reference, self.search = reference, search
        first = search.size if search.max_angle == 0 else max(search.size // 2, SMALLEST_SEARCH)
        self.first = Correlator(reference, min(first, search.size), search.max_shift)
        self.second = Correlator(reference, search.size, search.max_shift)
        self.angles = search.coarse().to(reference)
        self.templates = self.first.templates(self.angles)

    def find(self, image: Tensor) -> Pose:
        """Return the best pose of the reference in an image (1,1,H,W), refined."""
        pose = self.first.best(image, self.angles, self.templates)
        if self.search.max_angle > 0:
            angles = self.search.fine(pose.angle).to(image)
            pose = self.second.best(image, angles, self.second.templates(angles))
        return self._refine(image, pose)

    def _refine(self, image: Tensor, pose: Pose) -> Pose:
        """Maximise the correlation of intensities (Evangelidis, Psarakis 2008), starting from `pose`.

        Returns `pose` where that diverges or leaves the raster cell of the search.
        """
        found = image.new_tensor([pose.angle]), image.new_tensor([pose.shift])
        near = warp(image, *found, "border")[0, 0]
        inside = warp(torch.ones_like(image), *found, "zeros")[0, 0] > 0.999
        small = self._small_motion(near.cpu().numpy(), inside.cpu().numpy())
        if small is None:
            return pose
        angles, shifts = compose(found, (image.new_tensor([small[0]]), image.new_tensor([small[1]])))
        return Pose(float(angles[0]), (float(shifts[0, 0]), float(shifts[0, 1])), pose.similarity)

    def _small_motion(self, image: np.ndarray, inside: np.ndarray) -> tuple[float, tuple[float, float]] | None:
        """Return the remaining angle and shift of an image (H,W) that already lies almost as the reference does."""
        motion = cv2.MOTION_EUCLIDEAN if self.search.max_angle > 0 else cv2.MOTION_TRANSLATION
        fixed, mask = self.reference[0, 0].cpu().numpy(), inside.astype(np.uint8)
        start = np.eye(2, 3, dtype=np.float32)
        try:
            _, matrix = cv2.findTransformECC(fixed, image, start, motion, CRITERIA, mask, REFINEMENT_BLUR)
        except cv2.error:
            return None
        matrix = np.asarray(matrix, np.float64)
        centre = (np.array(image.shape[::-1]) - 1) / 2
        angle = math.atan2(matrix[1, 0], matrix[0, 0])
        x, y = matrix[:, 2] + matrix[:, :2] @ centre - centre
        if abs(angle) > math.radians(2 * self.search.fine_step) or max(abs(x), abs(y)) > 2 * self.second.scale[0]:
            return None
        return angle, (float(x), float(y))


def gradient(images: Tensor) -> Tensor:
    """Return the (x, y) derivatives (N,2,H,W) of slightly smoothed gray images (N,1,H,W), by Sobel's masks."""
    smooth = images.new_tensor([1.0, 2.0, 1.0]) / 4
    slope = images.new_tensor([-0.5, 0.0, 0.5])
    kernels = torch.stack([torch.outer(smooth, slope), torch.outer(slope, smooth)])[:, None]
    return F.conv2d(F.pad(blur(images), [1] * 4, mode="replicate"), kernels)


def _length(vectors: Tensor) -> Tensor:
    """Return the lengths (N,1,H,W) of a field (N,2,H,W), never 0."""
    # written out, because a norm over two strided channels is many times slower
    return (vectors[:, :1].square() + vectors[:, 1:].square()).sqrt().clamp(min=1e-12)
