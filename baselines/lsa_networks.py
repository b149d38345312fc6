"""The convolutional autoencoders of LSA (Abati et al. 2019, public code) and our extension to larger images."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.inputs import Shape, halvings
from harness.errors import ConfigError

DEEP_WIDTHS = (32, 64, 128, 256, 256, 256)
SMALLEST = 4


class EverySecond(nn.Module):
    """Keep every second row and column.

    A 1×1 convolution behind it is one with stride 2, whose own gradient crashes PyTorch 2.15 on CPUs: images of 3 or 4
    channels in channels-last order and 128 pixels or more, std::bad_alloc or a segmentation fault.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Return (N,C,⌈H/2⌉,⌈W/2⌉)."""
        return features[..., ::2, ::2]


class Sum(nn.Module):
    """LeakyReLU of the sum of two branches."""

    def __init__(self, main: nn.Module, side: nn.Module) -> None:
        super().__init__()
        self.main, self.side = main, side
        self.activation = nn.LeakyReLU(0.01)

    def forward(self, features: Tensor) -> Tensor:
        """Return the activated sum."""
        out: Tensor = self.activation(self.main(features) + self.side(features))
        return out


def down(source: int, target: int) -> Sum:
    """Return a residual block that halves the side."""
    first = nn.Conv2d(source, target, 3, 2, 1, bias=False)
    skip = [EverySecond(), nn.Conv2d(source, target, 1, bias=False), nn.BatchNorm2d(target)]
    return Sum(_branch(first, target), nn.Sequential(*skip))


def up(source: int, target: int) -> Sum:
    """Return a residual block that doubles the side."""
    first = nn.ConvTranspose2d(source, target, 5, 2, 2, output_padding=1, bias=False)
    skip = nn.ConvTranspose2d(source, target, 1, 2, output_padding=1, bias=False)
    return Sum(_branch(first, target), nn.Sequential(skip, nn.BatchNorm2d(target)))


def residual(width: int) -> Sum:
    """Return a residual block that keeps side and width."""
    return Sum(_branch(nn.Conv2d(width, width, 3, padding=1, bias=False), width), nn.Identity())


def _branch(first: nn.Module, width: int) -> nn.Sequential:
    second = nn.Conv2d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(first, nn.BatchNorm2d(width), nn.LeakyReLU(0.01), second, nn.BatchNorm2d(width))


def _joined(convolutions: nn.Module, features: Shape, hidden: int, code: int) -> nn.Sequential:
    """Return convolutions followed by the full connections to a code in (0,1)."""
    flat = features[0] * features[1] * features[2]
    full = [nn.Linear(flat, hidden, bias=False), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.01), nn.Linear(hidden, code)]
    return nn.Sequential(convolutions, nn.Flatten(), *full, nn.Sigmoid())


def _split(features: Shape, hidden: int, code: int) -> list[nn.Module]:
    """Return the full connections from a code to feature maps."""
    flat = features[0] * features[1] * features[2]
    layers: list[nn.Module] = []
    for source, target in ((code, hidden), (hidden, flat)):
        layers += [nn.Linear(source, target, bias=False), nn.BatchNorm1d(target), nn.LeakyReLU(0.01)]
    return [*layers, nn.Unflatten(1, features)]


def shallow(shape: Shape, code: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return encoder and decoder for small gray images: two halvings, output without activation."""
    if shape[1] % 4 or shape[2] % 4:
        raise ConfigError(f"image size {shape[1]}x{shape[2]}: the shallow network needs sides that 4 divides")
    features = (64, shape[1] // 4, shape[2] // 4)
    encoder = _joined(nn.Sequential(down(shape[0], 32), down(32, 64)), features, 64, code)
    decoder = [*_split(features, 64, code), up(64, 32), up(32, 16), nn.Conv2d(16, shape[0], 1, bias=False)]
    return encoder, nn.Sequential(*decoder)


def stemmed(shape: Shape, code: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return encoder and decoder for small colour images: an unpadded stem, three halvings."""
    if shape[1] % 8 or shape[2] % 8:
        raise ConfigError(f"image size {shape[1]}x{shape[2]}: the stemmed network needs sides that 8 divides")
    features = (256, shape[1] // 8, shape[2] // 8)
    stem = [nn.Conv2d(shape[0], 32, 3, bias=False), nn.LeakyReLU(0.01), residual(32)]
    encoder = _joined(nn.Sequential(*stem, down(32, 64), down(64, 128), down(128, 256)), features, 256, code)
    ups = [up(256, 128), up(128, 64), up(64, 32), residual(32)]
    return encoder, nn.Sequential(*_split(features, 256, code), *ups, nn.Conv2d(32, shape[0], 1, bias=False))


def deep(shape: Shape, code: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Return encoder and decoder for large images: halved down to 4², six times at 256² (ours)."""
    steps = halvings(shape, SMALLEST)
    if steps > len(DEEP_WIDTHS):
        raise ConfigError(f"image size {shape[1]}x{shape[2]}: the deep network takes at most 256x256")
    widths = DEEP_WIDTHS[:steps]
    features = (widths[-1], SMALLEST, SMALLEST)
    downs = [down(source, target) for source, target in zip((shape[0], *widths), widths, strict=False)]
    ends = (*widths[-2::-1], 32)
    ups = [up(source, target) for source, target in zip(widths[::-1], ends, strict=True)]
    decoder = nn.Sequential(*_split(features, 256, code), *ups, nn.Conv2d(32, shape[0], 1, bias=False))
    return _joined(nn.Sequential(*downs), features, 256, code), decoder


NETWORKS = {"shallow": shallow, "stemmed": stemmed, "deep": deep}
