"""AE_L2 and AE_SSIM: convolutional autoencoders whose reconstruction error is the anomaly map.

Source: Bergmann, Löwe, Fauser, Sattlegger, Steger, "Improving Unsupervised Defect Segmentation by Applying Structural
Similarity to Autoencoders", VISIGRAPP 2019; its setting on MVTec AD: Bergmann, Fauser, Sattlegger, Steger, "MVTec AD",
CVPR 2019, section 4.

Certain: nine convolutions down to a code of 100, no batch normalisation, no skip connections; the two methods differ
in loss, map and colour only. L2: squared differences, summed over channels. SSIM: 11×11 windows, trained and tested on
gray images. Textures: 128×128 patches, at test with a stride of 30, maps averaged. Objects: the whole image at 256×256
with one more layer at each end. 10,000 augmented samples an epoch. The layer plan reproduces the 1.20 million
parameters that Bergmann et al. (IJCV 2021) print for it.

Ours: images of 16, 32 and 64 pixels leave out the outermost layers, larger ones repeat them. Textures are taken at
512×512 (stated for two sibling methods only). The windows of SSIM are Gaussian (sigma 1.5) with the libraries'
constants; `ssim_constants: literal` takes the printed ones. Maps repeat the outermost window along the border. The
image score is the largest 3×3 mean of the map. Several patches may be cut from one loaded image (`patches`).

Deviations: losses are means per pixel instead of sums, because weight decay (1e-5) is not scale-free. AE_SSIM has a
sigmoid output by default: with the linear output of the paper its loss can stay on the plateau where it starts
(`out_act: linear`, if wished with `warm_up`, a share of the run trained with L2, is the alternative).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Adam

from baselines.patches import map_by_patches, random_patches
from baselines.scores import smoothed_maximum
from baselines.ssim import CONSTANTS, pad_border, ssim_map
from harness.errors import ConfigError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in gray (ITU-R BT.601)."""


class Autoencoder(nn.Module):
    """The networks of both methods, for square images of 8·2^k pixels, k ≥ 1: (N,C,S,S) -> (N,C,S,S).

    128 pixels are the published plan. Each halving of the size leaves out one halving layer at the input (with the
    3×3 layer behind it, if any) and its mirror image at the output; each doubling repeats the first layer.
    """

    def __init__(self, channels: int, size: int, latent: int = 100, out_act: str = "linear") -> None:
        super().__init__()
        halvings = (size // 8).bit_length() - 1
        if halvings < 1 or size != 8 * 2**halvings:
            raise ConfigError(f"autoencoder: images or patches of {size} pixels; choose 16, 32, 64, 128, 256 or 512")
        if out_act not in {"linear", "sigmoid"}:
            raise ConfigError(f"option out_act: '{out_act}' is unknown; choose linear or sigmoid")
        self.encoder = _encoder(channels, halvings, latent)
        self.decoder = _decoder(channels, halvings, latent)
        self.output = nn.Sigmoid() if out_act == "sigmoid" else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct images (N,C,S,S) in [0,1]."""
        return self.output(self.decoder(self.encoder(images)))


# Layers behind each halving (encoder) and each doubling (decoder), from the code outwards: (halves, channels).
_ENCODER = [[(True, 128), (False, 64), (False, 32)], [(True, 64), (False, 64)], [(True, 32), (False, 32)]]
_DECODER = [[(True, 64), (False, 64)], [(True, 32), (False, 32)]]
_OUTER = [(True, 32)]


def _encoder(channels: int, halvings: int, latent: int) -> nn.Sequential:
    groups = (_ENCODER + [_OUTER] * halvings)[:halvings]
    layers: list[nn.Module] = []
    for halves, width in (layer for group in reversed(groups) for layer in group):
        kernel, stride = (4, 2) if halves else (3, 1)
        layers += [nn.Conv2d(channels, width, kernel, stride, 1), nn.LeakyReLU(0.2)]
        channels = width
    return nn.Sequential(*layers, nn.Conv2d(channels, latent, 8))


def _decoder(channels: int, halvings: int, latent: int) -> nn.Sequential:
    groups = (_DECODER + [_OUTER] * halvings)[: halvings - 1]
    layers: list[nn.Module] = [nn.ConvTranspose2d(latent, 32, 8), nn.LeakyReLU(0.2)]
    width = 32
    for doubles, wanted in [(False, 64), (False, 128), *(layer for group in groups for layer in group)]:
        layer = nn.ConvTranspose2d(width, wanted, 4, 2, 1) if doubles else nn.Conv2d(width, wanted, 3, 1, 1)
        layers += [layer, nn.LeakyReLU(0.2)]
        width = wanted
    return nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, 2, 1))


class AutoencoderDetector(Detector):
    """Both methods; `error` is "l2" or "ssim".

    Args:
        shape: (C, H, W) of the input images.
        error: what is minimised and mapped.
        latent: length of the code.
        gray: turn colour images gray first (always so for SSIM).
        patch: side of the square patches of textures; None takes whole images.
        stride: step between test patches.
        patches: patches cut from each training image of a batch.
        rotation: of training patches, in degrees either way; whole images have the protocol's augmentation.
        mirror: flip training patches at random.
        out_act: "linear" or "sigmoid".
        warm_up: share of the run in which SSIM is replaced by L2.
        ssim_constants: "library" or "literal".
        weight_decay: of Adam.
    """

    def __init__(
        self, shape: tuple[int, int, int], *, error: str = "l2", latent: int = 100, gray: bool = False,
        patch: int | None = None, stride: int = 30, patches: int = 1, rotation: float = 0.0, mirror: bool = False,
        out_act: str = "linear", warm_up: float = 0.0, ssim_constants: str = "library", weight_decay: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        if error not in {"l2", "ssim"} or ssim_constants not in CONSTANTS:
            raise ConfigError(f"options error, ssim_constants: '{error}', '{ssim_constants}'; "
                              f"choose l2 or ssim, and {' or '.join(CONSTANTS)}")  # fmt: skip
        if patch is None and shape[1] != shape[2]:
            raise ConfigError(f"autoencoder: {shape[1]}x{shape[2]} images are not square; set the option patch")
        self.error, self.gray = error, gray or error == "ssim"
        self.patch, self.stride, self.patches = patch, stride, patches
        self.rotation, self.mirror = rotation, mirror
        self.warm_up, self.ssim_constants, self.weight_decay = warm_up, ssim_constants, weight_decay
        self.network = Autoencoder(1 if self.gray else shape[0], patch or shape[1], latent, out_act)

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Minimise the reconstruction error of normal images or of random patches of them."""
        optimizer = Adam(self.network.parameters(), lr=run.training.learning_rate, weight_decay=self.weight_decay)

        def loss(batch: Batch) -> Losses:
            images = self._input(batch.images)
            if self.patch is not None:
                images = random_patches(images, self.patch, self.patches, self.rotation, self.mirror)
            with run.autocast():
                reconstructed = self.network(images)
            return self._losses(images, reconstructed.float(), batch.fraction)

        run.loop(self, train.images, [Phase(optimizer, loss)])

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return squared differences (0 … channels) or 1 - SSIM (0 … 2) per pixel."""
        images = self._input(images)
        patch, stride = self.patch, self.stride
        maps = self._map(images) if patch is None else map_by_patches(images, self._map, patch, stride)
        return Prediction(maps, smoothed_maximum(maps))

    def _input(self, images: Tensor) -> Tensor:
        if not self.gray or images.shape[1] == 1:
            return images
        weights = torch.tensor(LUMA, device=images.device, dtype=images.dtype)
        return torch.einsum("nchw,c->nhw", images, weights)[:, None]

    def _losses(self, images: Tensor, reconstructed: Tensor, fraction: float) -> dict[str, Tensor]:
        squared = (images - reconstructed).square().mean()
        if self.error == "l2":
            return {"loss": squared}
        dissimilarity = 1 - ssim_map(images, reconstructed, self.ssim_constants).mean()
        return {"loss": squared if fraction < self.warm_up else dissimilarity, "1-ssim": dissimilarity}

    def _map(self, images: Tensor) -> Tensor:
        reconstructed = self.network(images).float()
        if self.error == "l2":
            return (images - reconstructed).square().sum(1)
        return pad_border(1 - ssim_map(images, reconstructed, self.ssim_constants))
