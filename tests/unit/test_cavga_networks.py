import csv
from pathlib import Path

import pytest
import torch
from torch import nn

from cavga.detector import Cavga
from cavga.networks import ConvLatent, Discriminator, default_depth
from cavga.networks_r import EncoderR, ResidualUp
from harness.errors import ConfigError, DataError
from harness.tables.layer_rows import align

PUBLISHED = Path(__file__).parents[2] / "published"


def published(name: str) -> list[dict[str, str]]:
    with (PUBLISHED / name).open(newline="") as file:
        return list(csv.DictReader(file))


def test_cavga_r_is_table_9_row_by_row() -> None:
    rows = Cavga((3, 256, 256), architecture="R", supervision="weak").layer_rows()
    table = published("table9_cavga_r.csv")
    assert [row["layer"] for row in rows] == [row["layer"] for row in table]
    assert not [pair for pair in align(table, rows) if pair.differences]


def test_cavga_d_is_table_10_plus_the_two_latent_heads_that_it_does_not_print() -> None:
    rows = Cavga((3, 256, 256), architecture="D", supervision="weak").layer_rows()
    differing = [pair for pair in align(published("table10_cavga_d.csv"), rows) if pair.differences]
    assert all(pair.published is None for pair in differing)
    assert [pair.reproduced["part"] for pair in differing if pair.reproduced] == ["mean", "log-variance"]


def test_the_unsupervised_variant_has_no_weakly_supervised_rows() -> None:
    rows = Cavga((3, 64, 64)).layer_rows()
    assert not [row for row in rows if row["layer"].startswith("W.S.")]


def test_the_walk_reads_the_modules_and_not_a_list() -> None:
    detector = Cavga((3, 64, 64), architecture="D")
    detector.model.decoder.body[1] = nn.Identity()
    detector.model.decoder.body[0] = nn.ConvTranspose2d(256, 256, 2, 2)
    row = next(row for row in detector.layer_rows() if row["network"] == "Decoder")
    assert (row["kernel"], row["pad"]) == ("2x2", "0")


def test_align_marks_changed_missing_and_additional_rows() -> None:
    def row(operation: str, output: str) -> dict[str, str]:
        blank = dict.fromkeys(("network", "kernel", "filters", "stride", "pad"), "")
        return blank | {"operation": operation, "output": output}

    pairs = align([row("a", "1"), row("b", "2"), row("c", "3")], [row("a", "1"), row("b", "9"), row("c", "3")])
    assert [pair.differences for pair in pairs] == [(), ("output",), ()]
    pairs = align([row("a", "1"), row("b", "2")], [row("a", "1")])
    assert pairs[1].reproduced is None
    assert align([], [row("a", "1")])[0].published is None


@pytest.mark.parametrize("architecture", ["R", "D"])
@pytest.mark.parametrize(
    ("shape", "cells"),
    [
        ((3, 128, 128), (8, 8)),
        ((1, 64, 64), (8, 8)),
        ((1, 32, 32), (1, 1)),
        ((3, 16, 16), (1, 1)),
        ((3, 64, 128), (8, 16)),
    ],
)
def test_smaller_images_leave_out_the_deepest_stages(
    architecture: str, shape: tuple[int, int, int], cells: tuple[int, int]
) -> None:
    detector = Cavga(shape, architecture=architecture, supervision="weak").eval()
    images = torch.rand(2, *shape)
    with torch.no_grad():
        features = detector.model.encoder(images)
        mu, logvar = detector.model.latent(features)
        assert mu.shape == logvar.shape == features.shape == (2, detector.model.encoder.channels, *cells)
        assert detector.model.decoder(mu).shape == images.shape
        assert detector.model.discriminator(images).shape[2:] == cells


def test_the_printed_size_has_the_printed_depth() -> None:
    assert [default_depth(side) for side in (16, 32, 64, 128, 256, 512)] == [4, 5, 3, 4, 5, 5]


def test_flat_z_has_the_documented_size() -> None:
    detector = Cavga((3, 64, 64), latent="flat", supervision="weak")
    mu, logvar = detector.model.latent(detector.model.encoder(torch.rand(2, 3, 64, 64)))
    assert mu.shape == logvar.shape == (2, 100)
    assert detector.model.classifier is not None
    assert detector.model.classifier.linear.in_features == 100
    assert Cavga((3, 64, 64), latent="flat", flat_size=7).model.latent.shape == (7,)


def test_mean_and_log_variance_are_parallel_heads_on_the_same_features() -> None:
    latent = ConvLatent((4, 2, 2))
    features = torch.rand(1, 4, 2, 2)
    mu, logvar = latent(features)
    torch.testing.assert_close(mu[0, :, 1, 0], latent.mu.weight[:, :, 0, 0] @ features[0, :, 1, 0] + latent.mu.bias)
    torch.testing.assert_close(
        logvar[0, :, 1, 0], latent.logvar.weight[:, :, 0, 0] @ features[0, :, 1, 0] + latent.logvar.bias
    )


def test_the_residual_shortcut_starts_at_the_transposed_convolution() -> None:
    stage = ResidualUp(4, 2).eval()
    for parameter in stage.body.parameters():
        nn.init.zeros_(parameter)
    z = torch.rand(1, 4, 3, 3)
    torch.testing.assert_close(stage(z), stage.up(z))


def test_a_grey_image_is_seen_as_if_it_were_shown_in_three_channels() -> None:
    encoder, image = EncoderR(3).eval(), torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(encoder(image), encoder(image.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize("network", ["resnet18", "efficientnet_lite0"])
@pytest.mark.parametrize("depth", [2, 3, 4, 5])
def test_either_encoder_gives_the_channels_that_the_latent_wants_and_its_stages(network: str, depth: int) -> None:
    encoder = EncoderR(depth, network).eval()
    stages = encoder.stages(torch.rand(1, 3, 64, 64))
    assert encoder.channels == 64 * 2 ** (depth - 2)
    assert stages[2**depth].shape == (1, encoder.channels, 64 >> depth, 64 >> depth)
    assert stages[2**depth].min() >= 0
    assert all(tensor.shape[2] == 64 // stride for stride, tensor in stages.items())


def test_the_deepest_layers_are_those_of_the_spec() -> None:
    trunk = [name for name, _ in EncoderR(4, "efficientnet_lite0").backbone.trunk.named_children()]
    assert trunk[-1] == "layer5"
    assert [name for name, _ in EncoderR(4).backbone.trunk.named_children()][-1] == "layer3"


def test_the_discriminator_ends_in_a_map_of_probabilities() -> None:
    discriminator = Discriminator(3)
    image = torch.rand(1, 3, 256, 256)
    probability = discriminator(image)
    assert probability.shape == (1, 512, 8, 8)
    torch.testing.assert_close(probability, torch.sigmoid(discriminator.logits(image)))


@pytest.mark.parametrize(
    ("shape", "options", "word"),
    [
        ((3, 100, 100), {}, "100x100"), ((3, 64, 64), {"depth": 6}, "depth 6"),
        ((3, 64, 64), {"architecture": "Q"}, "'Q'"), ((3, 64, 64), {"attention": {"scalar": "x"}}, "'x'"),
        ((3, 64, 64), {"attention": {"colour": 1}}, "colour"), ((3, 64, 64), {"weights": {"zz": 1}}, "zz"),
        ((3, 64, 64), {"encoder": "vgg"}, "'vgg'"), ((3, 64, 64), {"encoder_weights": "coco"}, "'coco'"),
        ((3, 64, 64), {"attention": {"over": "data"}}, "after training"),
        ((3, 64, 64), {"attention": {"target": "mu"}, "latent": "flat"}, "flat z"),
        ((3, 64, 64), {"attention": {"target": "stride_16"}}, "stride of 8"),
        ((3, 64, 64), {"attention": {"target": "logvar"}}, "does not depend"),
        ((3, 64, 64), {"attention": {"scalar": "each_mu"}, "supervision": "weak"}, "each_mu"),
        ((3, 64, 64), {"test": {"over": "batch"}}, "neighbours"), ((3, 64, 64), {"maps": {"x": {"y": 1}}}, "maps.x"),
    ],
)  # fmt: skip
def test_impossible_settings_are_named_in_one_line(
    shape: tuple[int, int, int], options: dict[str, object], word: str
) -> None:
    with pytest.raises(ConfigError, match=word) as error:
        Cavga(shape, **options)
    assert "\n" not in str(error.value)


def test_imagenet_weights_come_from_the_package_or_their_absence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    detector = Cavga((3, 64, 64), encoder="efficientnet_lite0", encoder_weights="imagenet")
    assert detector.weights_origin.startswith("ImageNet (EfficientNet-Lite0")
    monkeypatch.setattr("harness.training.weights.find_weights", lambda *_: None)
    with pytest.raises(DataError, match="resnet18-f37072fd"):
        Cavga((3, 64, 64), encoder_weights="imagenet")
    assert Cavga((3, 64, 64)).weights_origin == "random initialisation"
