"""The two VAEs of ADVAE, each cut at the convolution from which the attention is read."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from baselines.inputs import Shape, halvings, one_of
from baselines.vae import Posterior

COLOUR_MEAN, COLOUR_STD = (0.4305, 0.3999, 0.3900), (0.1822, 0.1733, 0.1624)


class AttentionVae(nn.Module):
    """An encoder in two parts and a decoder to logits.

    Attributes:
        features: images (N,C,H,W) to the target layer's maps (N,K,h,w).
        head: those maps to means and log-variances (N,2D).
        decoder: codes (N,D) to logits (N,C,H,W).
    """

    def __init__(self, features: nn.Module, head: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.features, self.head, self.decoder = features, head, decoder

    def encode(self, images: Tensor) -> Posterior:
        """Return q(z|x)."""
        return Posterior.of(self.head(self.features(images)))


class Standardise(nn.Module):
    """Bring images in [0,1] to about zero mean and unit variance; gray ones with the colours' averages."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, values in (("mean", COLOUR_MEAN), ("std", COLOUR_STD)):
            constant = torch.tensor(values) if channels == len(values) else torch.tensor(values).mean().expand(channels)
            self.register_buffer(name, constant.clone().view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return standardised images."""
        return (images - self.mean) / self.std


def plain_vae(shape: Shape, latent: int, layer: int) -> AttentionVae:
    """Return the authors' VAE for small images: two convolutions with stride 2, one hidden layer of 1024.

    `layer` 1 or 2 is the convolution whose output, before its ReLU, is the target.
    """
    halvings(shape, 4)
    channels, side = shape[0], shape[-1] // 4
    stages: list[nn.Module] = [nn.Conv2d(channels, 64, 4, 2, 1), nn.ReLU(), nn.Conv2d(64, 128, 4, 2, 1)]
    cut = {1: 1, 2: 3}[layer]
    flat = 128 * side**2
    top = [nn.ReLU(), nn.Flatten(), nn.Linear(flat, 1024), nn.ReLU(), nn.Linear(1024, 2 * latent)]
    decoder = nn.Sequential(
        nn.Linear(latent, 1024), nn.ReLU(), nn.Linear(1024, flat), nn.ReLU(), nn.Unflatten(1, (128, side, side)),
        nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(64, channels, 4, 2, 1),
    )  # fmt: skip
    return AttentionVae(nn.Sequential(*stages[:cut]), nn.Sequential(*stages[cut:], *top), decoder)


def resnet_vae(shape: Shape, latent: int, layer: int, stem: str) -> AttentionVae:
    """Return a VAE with a ResNet-18 encoder without pretraining; `layer` 1 to 4 is the target's stage.

    Stem "reproduction" is one 3×3 convolution with stride 2; "torchvision" a 7×7 one and max-pooling.
    """
    trunk = resnet18(weights=None)
    if one_of("stem", stem, ("reproduction", "torchvision")) == "reproduction":
        trunk.conv1, trunk.maxpool = nn.Conv2d(shape[0], 64, 3, 2, 1, bias=False), nn.Identity()
    elif shape[0] != 3:
        trunk.conv1 = nn.Conv2d(shape[0], 64, 7, 2, 3, bias=False)
    stages = [trunk.layer1, trunk.layer2, trunk.layer3, trunk.layer4]
    features = nn.Sequential(Standardise(shape[0]), trunk.conv1, trunk.bn1, trunk.relu, trunk.maxpool, *stages[:layer])
    head = nn.Sequential(*stages[layer:], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 2 * latent))
    return AttentionVae(features, head, _resnet_decoder(shape, latent))


def _resnet_decoder(shape: Shape, latent: int) -> nn.Sequential:
    """Return the reproduction's decoder: codes to 1024 maps of 4², doubled and thinned out up to the image."""
    layers: list[nn.Module] = [
        nn.Linear(latent, 1024),
        nn.ReLU(),
        nn.Linear(1024, 16384),
        nn.Unflatten(1, (1024, 4, 4)),
    ]
    layers.append(nn.ReLU())
    width = 1024
    for _ in range(halvings(shape, 4) - 1):
        layers += [nn.ConvTranspose2d(width, width // 2, 4, 2, 1), nn.BatchNorm2d(width // 2), nn.ReLU()]
        width //= 2
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, shape[0], 4, 2, 1))
