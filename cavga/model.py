"""The networks of one CAVGA variant, and what its encoder makes of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from cavga.networks import Classifier, ConvLatent, Discriminator, FlatLatent, Shape, check_sides, default_depth
from cavga.networks_d import DecoderD, EncoderD
from cavga.networks_r import DecoderR, EncoderR


@dataclass
class Code:
    """Features F (N,K,h,w) of the last convolution, the posterior's mean and log-variance, and z.

    `stages` holds the encoder's last tensor of each stride, where the code was made of images.
    """

    features: Tensor
    mu: Tensor
    logvar: Tensor
    z: Tensor
    stages: Mapping[int, Tensor] = field(default_factory=dict)


class Model(nn.Module):
    """Encoder, latent heads, decoder, discriminator and, if weakly supervised, classifier."""

    def __init__(
        self,
        shape: Shape,
        architecture: str,
        latent: str,
        flat_size: int,
        depth: int,
        encoder: str,
        encoder_weights: str,
        weak: bool,
    ) -> None:
        super().__init__()
        self.shape = shape
        channels, height, width = shape
        self.depth = depth = depth or default_depth(min(height, width))
        check_sides(shape, depth)
        self.cells = (height >> depth) * (width >> depth)
        self.encoder: EncoderR | EncoderD
        self.decoder: DecoderR | DecoderD
        if architecture == "R":
            self.encoder = EncoderR(depth, encoder, encoder_weights)
            self.decoder = DecoderR(self.encoder.channels, channels, depth)
        else:
            self.encoder = EncoderD(channels, depth)
            self.decoder = DecoderD(self.encoder.channels, channels, depth)
        features = (self.encoder.channels, height >> depth, width >> depth)
        self.latent = ConvLatent(features) if latent == "conv" else FlatLatent(features, flat_size)
        self.discriminator = Discriminator(channels, depth)
        self.classifier = Classifier(self.latent.shape) if weak else None

    def players(self) -> list[nn.Parameter]:
        """Return the parameters that play against the discriminator."""
        return [p for name, p in self.named_parameters() if not name.startswith("discriminator.")]

    def encode(self, images: Tensor, sampled: bool | None = None) -> Code:
        """Return the code of images (N,C,H,W); `sampled` says whether z is drawn, by default in training only."""
        stages = self.encoder.stages(images)
        code = self.code(stages[2**self.depth], sampled)
        code.stages = stages
        return code

    def code(self, features: Tensor, sampled: bool | None = None) -> Code:
        """Return the code of the encoder's features: z drawn from the posterior, or the posterior's mean."""
        mu, logvar = self.latent(features)
        drawn = self.training if sampled is None else sampled
        z = mu + torch.randn_like(mu) * (0.5 * logvar).exp() if drawn else mu
        return Code(features, mu, logvar, z)

    def decode_logits(self, z: Tensor) -> Tensor:
        """Return x̂ (N,C,H,W) before the decoder's sigmoid."""
        return self.decoder.logits(self.latent.unflatten(z))

    def decode(self, z: Tensor) -> Tensor:
        """Return x̂ (N,C,H,W)."""
        return self.decoder.sigmoid(self.decode_logits(z))
