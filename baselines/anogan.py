"""AnoGAN: a generative adversarial network of normal images, and a search for the latent code nearest to each image.

Source: Schlegl, Seeböck, Waldstein, Schmidt-Erfurth, Langs, "Unsupervised Anomaly Detection with Generative Adversarial
Networks to Guide Marker Discovery", IPMI 2017; its setting on MVTec AD: Bergmann, Fauser, Sattlegger, Steger, "MVTec
AD", CVPR 2019, section 4, which used a public implementation (LeeDoYup/AnoGAN-tf).

Certain: a DCGAN at 128×128 with a latent code of 64; 50 epochs of 10,000 samples at a rate of 2e-4; at test 300 steps
of Adam at a rate of 0.02 on 0.9 times the residual plus 0.1 times the difference of the discriminator's last
convolutional features, both summed; the map is the squared difference to what was found. Objects are shrunk to 128×128;
textures are 512×512, in 128×128 patches that do not overlap. From the implementation: layer plan, uniform codes, one
step of the discriminator and two of the generator per batch of 64, Adam with a first moment of 0.5, weights drawn from
N(0, 0.02²), codes not clipped.

Ours: patches of 16 to 64 pixels leave out the widest layers, those of 256 add a layer of 512 channels; `width` scales
all of them. The image score is the largest 3×3 mean of the map; the score named "search" is the paper's (the loss at
the end of the search, its largest over patches). Training patches of textures are turned at random.

Deviations: both networks search in evaluation mode, so that a result depends on its image and its first code only; the
implementation lets the discriminator normalise by the statistics of the single image. Whole batches of patches are
searched at once on a summed loss, which is the same search, as Adam works value by value. The search stays in float32:
in bfloat16 its loss ends at twice the value. Mode collapse is part of the published behaviour and is not repaired.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from baselines.patches import map_by_patches, random_patches
from baselines.scores import smoothed_maximum
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

BETAS = (0.5, 0.999)
START = 8
"""Side of the generator's first feature map and of the discriminator's last one."""


def plan(size: int, width: int) -> list[int]:
    """Return the channels of the feature maps from the image inwards; each halves the side, down to 8 pixels."""
    halvings = (size // START).bit_length() - 1
    if halvings < 1 or size != START * 2**halvings:
        raise ConfigError(f"AnoGAN: images or patches of {size} pixels; choose 16, 32, 64, 128 or 256")
    return [width * min(2**level, 8) for level in range(halvings)]


class Generator(nn.Module):
    """Codes (N,Z) -> images (N,C,S,S) in [-1,1]."""

    def __init__(self, channels: int, size: int, latent: int = 64, width: int = 64) -> None:
        super().__init__()
        widths = plan(size, width)[::-1]
        self.dense = nn.Linear(latent, widths[0] * START**2)
        layers: list[nn.Module] = []
        for before, after in zip(widths, [*widths[1:], channels], strict=True):
            up = nn.ConvTranspose2d(before, after, 5, 2, padding=2, output_padding=1)
            layers += [nn.BatchNorm2d(before), nn.ReLU(), up]
        self.layers = nn.Sequential(*layers, nn.Tanh())
        self.apply(_draw_weights)

    def forward(self, codes: Tensor) -> Tensor:
        """Generate one image per code."""
        return self.layers(self.dense(codes).view(len(codes), -1, START, START))


class Discriminator(nn.Module):
    """Images (N,C,S,S) in [-1,1] -> last convolutional features (N,·,8,8), and logits (N,) of being real."""

    def __init__(self, channels: int, size: int, width: int = 64) -> None:
        super().__init__()
        widths = plan(size, width)
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 5, 2, 2), nn.LeakyReLU(0.2)]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 5, 2, 2), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(widths[-1] * START**2, 1)
        self.apply(_draw_weights)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        return self.dense(self.features(images).flatten(1)).squeeze(1)


def _draw_weights(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class AnoGan(Detector):
    """AnoGAN for square images, or for square patches of textures.

    Args:
        shape: (C, H, W) of the input images.
        latent: length of the code.
        width: channels of the layers next to the image.
        patch: side of the patches of textures; None takes whole images.
        stride: step between test patches; the patch's side if None.
        patches: patches cut from each training image of a batch.
        rotation: of training patches, in degrees either way.
        mirror: flip training patches at random.
        iterations: steps of the search.
        search_rate: its learning rate.
        feature_weight: share of the feature term in the search (lambda).
        at_once: patches searched in one batch.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, latent: int = 64, width: int = 64, patch: int | None = None,
        stride: int | None = None, patches: int = 1, rotation: float = 0.0, mirror: bool = False,
        iterations: int = 300, search_rate: float = 0.02, feature_weight: float = 0.1, at_once: int = 256,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        channels, height, side = shape
        if patch is None and height != side:
            raise ConfigError(f"AnoGAN: {height}x{side} images are not square; set the option patch")
        self.patch, self.stride = patch or side, stride or patch or side
        self.whole, self.patches, self.rotation, self.mirror = patch is None, patches, rotation, mirror
        self.latent, self.iterations, self.search_rate = latent, iterations, search_rate
        self.feature_weight, self.at_once = feature_weight, at_once
        self.generator = Generator(channels, self.patch, latent, width)
        self.discriminator = Discriminator(channels, self.patch, width)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train the two networks against each other: one step of the discriminator, two of the generator."""
        rate = run.training.learning_rate
        judge = Adam(self.discriminator.parameters(), lr=rate, betas=BETAS)
        forger = Adam(self.generator.parameters(), lr=rate, betas=BETAS)

        generate = Phase(forger, lambda batch: self._generate(batch, run))
        run.loop(self, train.images, [Phase(judge, lambda batch: self._discriminate(batch, run)), generate, generate])

    def _discriminate(self, batch: Batch, run: Run) -> Losses:
        real = self._input(batch.images)
        with run.autocast():
            fake = self.generator(self._codes(len(real), real.device)).detach()
            genuine, forged = self.discriminator(real).float(), self.discriminator(fake).float()
        loss = _bce(genuine, 1.0) + _bce(forged, 0.0)
        return {"loss": loss, "discriminator": loss, "D(x)": genuine.sigmoid().mean()}

    def _generate(self, batch: Batch, run: Run) -> Losses:
        codes = self._codes(len(batch.images) * (1 if self.whole else self.patches), batch.images.device)
        with run.autocast():
            forged = self.discriminator(self.generator(codes)).float()
        loss = _bce(forged, 1.0)
        return {"loss": loss, "generator": loss, "D(G(z))": forged.sigmoid().mean()}

    def predict(self, images: Tensor) -> Prediction:
        """Search a code for each patch; map the squared difference to its image (0 … 4C, images in [-1,1])."""
        ends: list[Tensor] = []

        def score(patches: Tensor) -> Tensor:
            scaled = patches * 2 - 1
            found, end = self.search(scaled, self._codes(len(patches), patches.device))
            ends.append(end)
            return (scaled - found).square().sum(1)

        maps = map_by_patches(images, score, self.patch, self.stride, self.at_once)
        search = torch.cat(ends).reshape(len(images), -1).amax(1)
        return Prediction(maps, {"": smoothed_maximum(maps), "search": search})

    def search(self, images: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Move `codes` (N,Z) so that they generate `images` (N,C,S,S); return what they give, and losses (N,)."""
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            wanted = self.discriminator.features(images)
        codes = codes.clone().requires_grad_()
        optimizer = Adam([codes], lr=self.search_rate, betas=BETAS)
        with torch.enable_grad():
            for _ in range(self.iterations):
                (codes.grad,) = torch.autograd.grad(self._distance(images, wanted, codes)[1].sum(), codes)
                optimizer.step()
        with torch.no_grad():
            return self._distance(images, wanted, codes)

    def _distance(self, images: Tensor, wanted: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        generated = self.generator(codes)
        residual = (images - generated).abs().sum((1, 2, 3))
        features = (wanted - self.discriminator.features(generated)).abs().sum((1, 2, 3))
        return generated, (1 - self.feature_weight) * residual + self.feature_weight * features

    def _input(self, images: Tensor) -> Tensor:
        if not self.whole:
            images = random_patches(images, self.patch, self.patches, self.rotation, self.mirror)
        return images * 2 - 1

    def _codes(self, count: int, device: torch.device) -> Tensor:
        return (torch.rand(count, self.latent) * 2 - 1).to(device)


def _bce(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
