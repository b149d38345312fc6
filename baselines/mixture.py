"""Gaussian mixtures with full covariances: fitted by scikit-learn, evaluated in torch from stored buffers."""

from __future__ import annotations

import math
import warnings

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor, nn

from harness.errors import FitError

CHUNK = 1 << 16
"""Vectors evaluated at once; bounds the memory of the (components, vectors, dimensions) differences."""


class Mixture(nn.Module):
    """The density of vectors (N,D) under K Gaussians.

    Buffers: `origin` (D,) the mean of the data, `means` (K,D) relative to it, `factors` (K,D,D) the Cholesky factors
    of the precisions, `constants` (K,) what does not depend on the vector.

    Args:
        components: number K of Gaussians.
        tolerance: EM stops at a smaller gain in mean log-likelihood.
        iterations: largest number of EM steps.
        ridge: added to the covariances' diagonals, relative to the mean variance of the data.
    """

    origin: Tensor
    means: Tensor
    factors: Tensor
    constants: Tensor

    def __init__(self, components: int, tolerance: float, iterations: int, ridge: float) -> None:
        super().__init__()
        self.components, self.tolerance, self.iterations, self.ridge = components, tolerance, iterations, ridge
        for name in ("origin", "means", "factors", "constants"):
            self.register_buffer(name, torch.empty(0))

    def fit(self, vectors: np.ndarray, seed: int) -> bool:
        """Fit to vectors (N,D) by EM from k-means; return whether EM converged.

        Raises FitError when the data do not carry so many components.
        """
        if len(vectors) < self.components:
            raise FitError(f"{len(vectors)} vectors are too few for {self.components} mixture components")
        origin = vectors.mean(axis=0, dtype=np.float64)
        centred = vectors.astype(np.float64) - origin
        # 1e-9: a constant image must not make EM divide by zero
        regularisation = self.ridge * float(centred.var(axis=0).mean()) + 1e-9
        model = GaussianMixture(
            self.components,
            tol=self.tolerance,
            max_iter=self.iterations,
            reg_covar=regularisation,
            random_state=seed % 2**32,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                model.fit(centred)
            except ValueError as error:
                raise FitError(f"the mixture collapsed: {' '.join(str(error).split())}") from error
        self._store(model, origin)
        return bool(model.converged_)

    def _store(self, model: GaussianMixture, origin: np.ndarray) -> None:
        factors = model.precisions_cholesky_
        log_determinant = np.log(np.einsum("kii->ki", factors)).sum(axis=1)
        normal = -0.5 * factors.shape[1] * math.log(2 * math.pi)
        device = self.origin.device
        values = {
            "origin": origin,
            "means": model.means_,
            "factors": factors,
            "constants": np.log(model.weights_) + log_determinant + normal,
        }
        for name, value in values.items():
            setattr(self, name, torch.from_numpy(np.ascontiguousarray(value)).float().to(device))

    def log_likelihood(self, vectors: Tensor) -> Tensor:
        """Return log p (N,) of vectors (N,D), float32."""
        return torch.cat([self._log_likelihood(part) for part in vectors.split(CHUNK)])

    def _log_likelihood(self, vectors: Tensor) -> Tensor:
        differences = (vectors - self.origin) - self.means[:, None]
        distances = torch.bmm(differences, self.factors).square().sum(dim=2)
        return torch.logsumexp(self.constants[:, None] - 0.5 * distances, dim=0)
