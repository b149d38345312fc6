"""LSA, latent space autoregression: reconstruction error plus the surprisal of the code under a learnt density.

Source: Abati, Porrello, Calderara, Cucchiara, "Latent Space Autoregression for Novelty Detection" (CVPR 2019), and its
public code.

Certain: residual autoencoders for 32² (gray: two halvings; colour: a stem and three), a code of 64 elements in (0,1),
the estimator of five masked full connections (the first sees earlier elements only, the others also the same one) over
100 bins; the loss, squared error summed over pixels + λ·surprisal, λ = 1, with bins taken from the detached code while
the code itself feeds the estimator with gradient; the novelty score, both terms scaled by minimum and maximum over
held-out normal images and added.

Ours: the network for 64² to 256², blocks of the same kind down to 4². The source has no map for images; the default is
the squared error, averaged over channels, while "occlusion" is the paper's localisation for video: a patch of an eighth
of the side, filled with the mean training image, slides over the image in steps of half its side, and the map is by how
much the novelty score drops. Training settings for colour, fashion and large images.

Deviations: the estimator's weights that the mask zeroes as whole blocks are not stored. The paper's equation 10
subtracts the maximum, the code the minimum: a constant shift. The code clips surprisal at 36 nats an element; here it
is not clipped. Strided 1×1 convolutions take every second pixel first, which is the same. The video version with masked
3-D convolutions is left out, because the scenes measured here are single frames.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.autoregression import AutoregressiveEstimator, surprisal
from baselines.inputs import Shape, image_batches, one_of
from baselines.lsa_networks import NETWORKS
from baselines.vae import squared_error
from harness.errors import FitError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

SMALL = 64


class Lsa(Detector):
    """An autoencoder whose code an autoregressive estimator predicts; novelty is what both find surprising.

    Args:
        shape: (C,H,W) of the images.
        network: "shallow", "stemmed" or "deep"; None takes deep from 64 pixels on, else shallow for gray images.
        code: elements of the code.
        bins: of the estimator.
        widths: channels of the estimator's hidden connections.
        likelihood_weight: λ.
        map_mode: "residual" or "occlusion".
    """

    mean_image: Tensor
    error_range: Tensor
    surprisal_range: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        network: str | None = None,
        code: int = 64,
        bins: int = 100,
        widths: tuple[int, ...] = (32, 32, 32, 32),
        likelihood_weight: float = 1.0,
        map_mode: str = "residual",
    ) -> None:
        super().__init__(shape)
        default = "deep" if shape[-1] >= SMALL else "shallow" if shape[0] == 1 else "stemmed"
        build = NETWORKS[one_of("network", network or default, NETWORKS)]
        self.likelihood_weight = likelihood_weight
        self.map_mode = one_of("map_mode", map_mode, ("residual", "occlusion"))
        self.encoder, self.decoder = build(shape, code)
        self.estimator = AutoregressiveEstimator(code, widths, bins)
        self.register_buffer("mean_image", torch.zeros(shape))
        self.register_buffer("error_range", torch.tensor([0.0, 1.0]))
        self.register_buffer("surprisal_range", torch.tensor([0.0, 1.0]))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train autoencoder and estimator together, then measure both terms' ranges on the validation images."""
        if len(train.validation) < 2:
            raise FitError(
                "the score needs two or more validation images; set `validation: true` in the method's entry"
            )
        optimizer = torch.optim.Adam(self.parameters(), lr=run.training.learning_rate, fused=True)

        def loss(batch: Batch) -> Losses:
            with run.autocast():
                codes = self.encoder(batch.images)
                reconstructions, logits = self.decoder(codes), self.estimator(codes)
            return self.losses(batch.images, reconstructions, codes, logits)

        run.loop(self, train.images, [Phase(optimizer, loss)])
        self.eval()
        self._measure(train, run.device)

    def losses(self, images: Tensor, reconstructions: Tensor, codes: Tensor, logits: Tensor) -> Losses:
        """Return the objective and its parts, each a mean over the batch."""
        error, surprise = squared_error(images, reconstructions).mean(), surprisal(codes, logits).mean()
        return {"loss": error + self.likelihood_weight * surprise, "error": error, "surprisal": surprise}

    @torch.no_grad()
    def _measure(self, train: TrainingSet, device: torch.device) -> None:
        terms = [self.terms(batch)[:2] for batch in image_batches(train.validation, device)]
        errors, surprises = (torch.cat(parts) for parts in zip(*terms, strict=True))
        self.error_range = torch.stack([errors.min(), errors.max()])
        self.surprisal_range = torch.stack([surprises.min(), surprises.max()])
        mean = np.mean(train.images, axis=0, dtype=np.float64) / 255
        self.mean_image = torch.from_numpy(mean).permute(2, 0, 1).float().to(device)

    def terms(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return squared error (N,), surprisal (N,) and reconstructions of images (N,C,H,W)."""
        codes = self.encoder(images)
        reconstructions = self.decoder(codes)
        return squared_error(images, reconstructions), surprisal(codes, self.estimator(codes)), reconstructions

    def novelty(self, errors: Tensor, surprises: Tensor) -> Tensor:
        """Return the novelty score (N,), which lies in [0,2] on the validation images."""
        return _scaled(errors, self.error_range) + _scaled(surprises, self.surprisal_range)

    def predict(self, images: Tensor) -> Prediction:
        """Score images (N,C,H,W) by novelty; its two terms alone are given by name."""
        errors, surprises, reconstructions = self.terms(images)
        scores = self.novelty(errors, surprises)
        named = {"": scores, "error": errors, "surprisal": surprises}
        if self.map_mode == "residual":
            return Prediction((images - reconstructions).square().mean(1), named)
        return Prediction(self.spread(self.drops(images, scores)), named)

    def drops(self, images: Tensor, scores: Tensor) -> Tensor:
        """Return by how much hiding each place lowers the novelty (N,rows,columns): one forward pass a place."""
        stride = self._stride()
        rows, columns = (side // stride - 1 for side in self.shape[1:])
        drops = []
        for place in range(rows * columns):
            top, left = place // columns * stride, place % columns * stride
            patch = (..., slice(top, top + 2 * stride), slice(left, left + 2 * stride))
            hidden = images.clone()
            hidden[patch] = self.mean_image[patch]
            drops.append(scores - self.novelty(*self.terms(hidden)[:2]))
        return torch.stack(drops, dim=1).view(len(images), rows, columns)

    def spread(self, drops: Tensor) -> Tensor:
        """Return the drops (N,rows,columns) at every pixel (N,H,W), bilinear between the places' centres."""
        stride = self._stride()
        (height, width), (rows, columns) = self.shape[1:], drops.shape[1:]
        inner = F.interpolate(drops[:, None], (rows * stride, columns * stride), mode="bilinear", align_corners=False)
        # the first place's centre lies one stride from the border, the first cell's half a stride
        near, right, below = stride // 2, width - columns * stride, height - rows * stride
        return F.pad(inner, (near, right - near, near, below - near), mode="replicate").squeeze(1)

    def _stride(self) -> int:
        return max(1, min(self.shape[1:]) // 16)


def _scaled(values: Tensor, limits: Tensor) -> Tensor:
    return (values - limits[0]) / (limits[1] - limits[0]).clamp_min(1e-12)
