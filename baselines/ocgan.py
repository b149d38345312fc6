"""OCGAN: an autoencoder whose whole latent space decodes to normal images; the score is its squared error.

Source: Perera, Nallapati, Xiang, "OCGAN: One-Class Novelty Detection Using GANs with Constrained Latent
Representations", CVPR 2019; layers after the authors' repository.

Certain: a denoising encoder with a bounded code of 16, a decoder, a latent discriminator that makes the codes of normal
images uniform, a visual discriminator that makes decodings of uniform codes look normal, and a classifier by whose
gradient those codes are moved to where the decoder fails (informative-negative mining). One step trains the classifier,
both discriminators, then the autoencoder (Algorithm 1). 5×5 kernels without padding on 61×61 images with values in
[-1,1], gray ones as three equal channels. Adam 2e-4 with beta1 0.5, batch 512.

Ours: images of 32 pixels are enlarged to 61; 64, 128 and 256 are cropped to 61, 125 and 253, with one more layer at
each doubling. Noise has a standard deviation of 0.2 (the text can be read as a variance), the weight of the
reconstruction is 10, mining takes five gradient steps of rate 1 on the summed loss and keeps the codes in [-1,1].
Mining leaves running statistics alone, and normal images are decoded last, so that these statistics are theirs.
`warm_up` is a share of the run with the squared error alone. The map is the squared error; the paper has none.

The weights kept are those with the lowest squared error on held-out images, looked at every 5 of 201 epochs, whatever
the budget (a share of the run).

Deviations: The repository differs from Algorithm 1, which is followed. What it does otherwise are switches: noise on
test images, which are compared with the clean ones (`test_noise: 0.2`, one pattern for all images; here 0); the
encoder's running statistics from clean images as well (`clean_statistics`; here from noisy ones alone, with `momentum`
0.9 nearly those of the last batch); the latent discriminator's term weighted by 10 (`latent_weight`; here 1); one
mining step (`mining_steps: 1`), which it takes late in training only.
"""

from __future__ import annotations

import itertools
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from baselines.adversarial import dcgan_weights, looking_on, signed
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.hooks import HeldOut
from harness.training.loop import Batch, Losses, Phase, Run

CHANNELS = 3
SIDES = {29: 3, 61: 4, 125: 5, 253: 6}
"""Sides that 5×5 convolutions with stride 2 and no padding take to one pixel, and how many of them it takes."""


def side_for(size: int) -> int:
    """Return the side to which images of `size` pixels are brought: 61, or the next below where they are larger."""
    return max(side for side in SIDES if side <= max(61, size))


def _widths(width: int, layers: int) -> list[int]:
    return [width * min(2**number, 8) for number in range(layers - 1)]


def critic(side: int, width: int, outputs: int = 1, momentum: float = 0.1) -> nn.Sequential:
    """Return a network of 5×5 convolutions: (N,3,side,side) -> (N,outputs,1,1)."""
    widths = _widths(width, SIDES[side])
    layers: list[nn.Module] = [nn.Conv2d(CHANNELS, widths[0], 5, 2), nn.LeakyReLU(0.2)]
    for source, target in itertools.pairwise(widths):
        norm = nn.BatchNorm2d(target, momentum=momentum)
        layers += [nn.Conv2d(source, target, 5, 2, bias=False), norm, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], outputs, 5, 2, bias=outputs == 1))


def generator(side: int, width: int, latent: int, momentum: float) -> nn.Sequential:
    """Return the decoder: (N,latent,1,1) -> (N,3,side,side) in [-1,1]."""
    widths = [latent, *reversed(_widths(width, SIDES[side]))]
    layers: list[nn.Module] = []
    for number, (source, target) in enumerate(itertools.pairwise(widths)):
        drop = [nn.Dropout(0.5)] if number == len(widths) - 2 else []
        norm = nn.BatchNorm2d(target, momentum=momentum)
        layers += [nn.ConvTranspose2d(source, target, 5, 2, bias=False), norm, *drop, nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], CHANNELS, 5, 2), nn.Tanh())


def judged(logits: Tensor, real: bool) -> Tensor:
    """Return the mean cross entropy of logits against one label for all."""
    logits = logits.float()
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(real)))


class OneClassGan(Detector):
    """OCGAN.

    Args:
        shape: (C, H, W) of the input images, gray or colour.
        side: pixels of the images that the networks see: 29, 61, 125 or 253; chosen by the size if None.
        latent: length of the code.
        width, visual_width: first channels of autoencoder and classifier, and of the visual discriminator.
        noise, test_noise: standard deviation of the noise on images (range 2), in training and at test.
        reconstruction: weight of the mean squared error.
        mining_steps, mining_rate: of the search for informative negatives.
        warm_up: share of the run in which the autoencoder is trained alone.
        latent_weight: of the latent discriminator's judgement in the autoencoder's loss.
        clean_statistics: the encoder's running statistics also see the images without noise.
        momentum: of batch normalisation, in PyTorch's sense; 0.9 is the repository's.
    """

    pattern: Tensor

    SELECT_EVERY = 5 / 201

    def __init__(
        self, shape: tuple[int, int, int], *, side: int | None = None, latent: int = 16, width: int = 64,
        visual_width: int = 12, noise: float = 0.2, test_noise: float = 0.0, reconstruction: float = 10.0,
        mining_steps: int = 5, mining_rate: float = 1.0, warm_up: float = 0.0, latent_weight: float = 1.0,
        clean_statistics: bool = False, momentum: float = 0.9,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        self.side = side or side_for(min(shape[1:]))
        if self.side not in SIDES or shape[0] not in {1, CHANNELS}:
            known = ", ".join(map(str, SIDES))
            raise ConfigError(f"OCGAN: side {self.side}, {shape[0]} channels; choose side {known} and 1 or 3 channels")
        self.latent, self.noise, self.test_noise, self.reconstruction = latent, noise, test_noise, reconstruction
        self.mining_steps, self.mining_rate, self.warm_up = mining_steps, mining_rate, warm_up
        self.latent_weight, self.clean_statistics = latent_weight, clean_statistics
        self.register_buffer("pattern", torch.randn(CHANNELS, self.side, self.side))
        self.encoder = nn.Sequential(critic(self.side, width, latent, momentum), nn.Tanh())
        self.decoder = generator(self.side, width, latent, momentum)
        self.visual = critic(self.side, visual_width, momentum=momentum)
        self.classifier = critic(self.side, width, momentum=momentum)
        widths = [latent, 128, 64, 32, 16]
        hidden = [nn.Sequential(nn.Linear(a, b), nn.ReLU()) for a, b in itertools.pairwise(widths)]
        self.latent_critic = nn.Sequential(nn.Flatten(), *hidden, nn.Linear(16, 1))
        for network in (self.encoder, self.decoder, self.visual, self.classifier):
            network.apply(dcgan_weights)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Train classifier, discriminators and autoencoder on every batch, in this order."""
        run.prepare(self)
        adam = partial(Adam, lr=run.training.learning_rate, betas=(0.5, 0.999))
        critics = [*self.latent_critic.parameters(), *self.visual.parameters()]
        autoencoder = [*self.encoder.parameters(), *self.decoder.parameters()]

        def warm(batch: Batch) -> bool:
            return batch.fraction >= self.warm_up

        phases = [
            Phase(adam(self.classifier.parameters()), partial(self.classifier_loss, run), warm),
            Phase(adam(critics), partial(self.critics_loss, run), warm),
            Phase(adam(autoencoder), partial(self.autoencoder_loss, run)),
        ]
        held_out = HeldOut(train.validation, lambda images: self._errors(images).mean((1, 2)), every=self.SELECT_EVERY)
        run.loop(self, train.images, phases, hooks=[held_out])

    def classifier_loss(self, run: Run, batch: Batch) -> Losses:
        """Tell decodings of normal images' codes from those of random codes."""
        drawn = self._draw(run, batch)
        with run.autocast():
            own, other = self.classifier(drawn["decoded"]), self.classifier(drawn["random_image"])
        loss = judged(own, True) + judged(other, False)
        return {"loss": loss, "classifier": loss}

    def critics_loss(self, run: Run, batch: Batch) -> Losses:
        """Tell codes from uniform ones, and decodings of uniform codes from normal images."""
        drawn = self._draw(run, batch)
        with run.autocast():
            latent = judged(self.latent_critic(drawn["code"]), False)
            latent = latent + judged(self.latent_critic(drawn["random"]), True)
            visual = judged(self.visual(drawn["random_image"]), False) + judged(self.visual(drawn["images"]), True)
        return {"loss": latent + visual, "latent": latent, "visual": visual}

    def autoencoder_loss(self, run: Run, batch: Batch) -> Losses:
        """Reconstruct, and deceive both discriminators, the visual one at mined codes."""
        drawn = self._draw(run, batch)
        deceit = torch.zeros((), device=run.device)
        with run.autocast(), looking_on(self.visual):
            code = self.encoder(drawn["noisy"])
            if batch.fraction >= self.warm_up:
                mined = self.mine(drawn["random"])
                latent = self.latent_weight * judged(self.latent_critic(code), True)
                deceit = latent + judged(self.visual(self.decoder(mined)), True)
            decoded = self.decoder(code)
            if self.clean_statistics:
                with torch.no_grad():
                    self.encoder(drawn["images"])
        error = (drawn["images"] - decoded.float()).square().mean()
        return {"loss": deceit + self.reconstruction * error, "squared_error": error}

    @torch.no_grad()
    def _draw(self, run: Run, batch: Batch) -> dict[str, Tensor]:
        """Return this step's noise, codes and decodings: drawn once, shared by its phases."""
        if "images" not in batch.shared:
            images = self._input(batch.images)
            noisy = images + self.noise * torch.randn_like(images)
            random = torch.rand(len(images), self.latent, 1, 1, device=images.device) * 2 - 1
            with run.autocast(), looking_on(self.encoder, self.decoder):
                code = self.encoder(noisy)
                pictures = {"decoded": self.decoder(code), "random_image": self.decoder(random)}
            batch.shared.update(images=images, noisy=noisy, random=random, code=code, **pictures)
        return batch.shared

    @torch.enable_grad()
    def mine(self, codes: Tensor) -> Tensor:
        """Move codes (N,latent,1,1) to where the classifier takes their decodings for not normal."""
        with looking_on(self.decoder, self.classifier):
            for _ in range(self.mining_steps):
                codes = codes.detach().requires_grad_()
                logits = self.classifier(self.decoder(codes)).float()
                (gradient,) = torch.autograd.grad(F.softplus(-logits).sum(), codes)
                codes = (codes + self.mining_rate * gradient).clamp(-1, 1)
        return codes.detach()

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return squared errors per pixel (mean over channels) and their mean as the score."""
        errors = self._errors(images)
        return Prediction(self._restore(errors), errors.mean((1, 2)))

    def _errors(self, images: Tensor) -> Tensor:
        images = self._input(images)
        return (images - self.decoder(self.encoder(images + self.test_noise * self.pattern))).square().mean(1)

    def _input(self, images: Tensor) -> Tensor:
        """Bring images to three channels in [-1,1] and to the networks' side: cropped if that costs three pixels."""
        images = signed(images).expand(-1, CHANNELS, -1, -1)
        if images.shape[-2:] == (self.side + 3, self.side + 3):
            return images[..., 1:-2, 1:-2]
        return F.interpolate(images, (self.side, self.side), mode="bilinear", align_corners=False)

    def _restore(self, maps: Tensor) -> Tensor:
        if self.shape[1:] == (self.side + 3, self.side + 3):
            return F.pad(maps[:, None], (1, 2, 1, 2), mode="replicate")[:, 0]
        return maps
