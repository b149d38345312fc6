import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from sklearn.metrics import roc_auc_score
from torchmetrics.functional.image import structural_similarity_index_measure

from baselines.autoencoder import Autoencoder, AutoencoderDetector
from baselines.ssim import CONSTANTS, pad_border, ssim_map
from harness.errors import ConfigError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("channels", "size", "latent", "count"),
    [(1, 128, 100, 1048549), (1, 256, 100, 1081381), (3, 256, 100, 1083431), (1, 256, 128, 1196097),
     (3, 256, 128, 1198147)],
)  # fmt: skip
def test_parameter_counts_of_the_published_plans(channels, size, latent, count):
    assert parameters(Autoencoder(channels, size, latent)) == count


def test_shapes_of_the_published_plan():
    network, shapes = Autoencoder(1, 128), []
    for layer in [*network.encoder, *network.decoder]:
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    network(torch.rand(1, 1, 128, 128))
    convolutions = [shape for shape, same in zip(shapes, [None, *shapes], strict=False) if shape != same]
    encoder = [(32, 64, 64), (32, 32, 32), (64, 16, 16), (128, 8, 8), (64, 8, 8), (32, 8, 8), (100, 1, 1)]
    decoder = [(32, 8, 8), (64, 8, 8), (128, 8, 8), (64, 16, 16), (32, 32, 32), (32, 64, 64), (1, 128, 128)]
    assert convolutions == encoder + decoder


@pytest.mark.parametrize("size", [16, 32, 64, 128, 256])
def test_other_sizes_keep_the_code_and_the_size(size):
    network = Autoencoder(3, size, 20, "sigmoid")
    images = torch.rand(2, 3, size, size)
    assert network.encoder(images).shape == (2, 20, 1, 1)
    out = network(images)
    assert out.shape == images.shape
    assert 0 < out.min() <= out.max() < 1


def test_ssim_equals_both_libraries_inside_the_border():
    random = np.random.default_rng(0)
    x = random.random((48, 40))
    y = (x + random.normal(0, 0.2, x.shape)).clip(0, 1)
    ours = ssim_map(*(torch.tensor(a, dtype=torch.float32)[None, None] for a in (x, y)))[0]
    _, skimage = structural_similarity(
        x, y, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True, data_range=1.0
    )
    np.testing.assert_allclose(ours, skimage[5:-5, 5:-5], atol=2e-6)
    for constants, k in {"library": (0.01, 0.03), "literal": (0.1, 0.03**0.5)}.items():
        assert tuple(v**2 for v in k) == pytest.approx(CONSTANTS[constants])
        a, b = (torch.tensor(v)[None, None].float() for v in (x, y))
        _, full = structural_similarity_index_measure(
            a, b, sigma=1.5, data_range=1.0, k1=k[0], k2=k[1], return_full_image=True
        )
        torch.testing.assert_close(ssim_map(a, b, constants), full[:, 0, 5:-5, 5:-5], atol=1e-5, rtol=0)


def test_ssim_range_border_and_gradient():
    x = torch.rand(2, 1, 24, 24)
    assert ssim_map(x, x).min() > 1 - 1e-5
    inverse = ssim_map(x, 1 - x)
    assert -1 <= inverse.min() < -0.5
    padded = pad_border(inverse)
    assert padded.shape == (2, 24, 24)
    assert torch.equal(padded[:, :5, 12], padded[:, 5:6, 12].expand(2, 5))
    y = (x + 0.1).requires_grad_()
    ssim_map(x, y).mean().backward()
    assert torch.isfinite(y.grad).all()
    assert y.grad.abs().sum() > 0


@pytest.mark.parametrize(("error", "patch"), [("l2", None), ("l2", 32), ("ssim", None)])
def test_a_small_fit_finds_the_planted_defect(tmp_path, error, patch):
    train, images, masks = planted(64) if patch else planted(32, kind="object")
    torch.manual_seed(0)
    options = {"error": error, "patch": patch, "stride": 15, "patches": 4, "out_act": "sigmoid", "latent": 32}
    detector = AutoencoderDetector(tuple(images.shape[1:]), **options)
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    detector.fit(train, make_run(tmp_path, images_seen=96 if patch else 240, learning_rate=3e-3))
    assert all(not torch.equal(before[name], value) for name, value in detector.state_dict().items())
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert prediction.scores.shape == (len(images),)
    assert roc_auc_score(masks.ravel(), prediction.maps.ravel()) > 0.7
    assert roc_auc_score(masks.any((1, 2)), prediction.scores) > 0.7

    save_state(detector, tmp_path / "weights.safetensors")
    again = AutoencoderDetector(tuple(images.shape[1:]), **options)
    load_state(again, tmp_path / "weights.safetensors")
    assert torch.equal(predict(again, images).maps, prediction.maps)
    single = torch.cat([predict(detector, image[None]).maps for image in images])
    torch.testing.assert_close(single, prediction.maps, atol=1e-5, rtol=1e-4)


def test_the_l2_map_sums_channels_and_ssim_works_on_gray():
    images = torch.rand(2, 3, 32, 32)
    l2 = AutoencoderDetector((3, 32, 32)).eval()
    with torch.no_grad():
        expected = (images - l2.network(images)).square().sum(1)
    torch.testing.assert_close(predict(l2, images).maps, expected)
    ssim = AutoencoderDetector((3, 32, 32), error="ssim")
    assert ssim.network.encoder[0].in_channels == 1
    gray = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    same_tone = (images * gray).sum(1, keepdim=True).expand_as(images)
    torch.testing.assert_close(predict(ssim, images).maps, predict(ssim, same_tone).maps, atol=1e-4, rtol=1e-4)


def test_a_texture_is_scored_by_overlapping_patches():
    detector = AutoencoderDetector((3, 40, 40), error="ssim", patch=32, stride=30)
    images = torch.rand(2, 3, 40, 40)
    maps = predict(detector, images).maps
    corner = AutoencoderDetector((3, 32, 32), error="ssim")
    corner.load_state_dict(detector.state_dict())
    torch.testing.assert_close(maps[:, :8, :8], predict(corner, images[:, :, :32, :32]).maps[:, :8, :8])
    quarters = [predict(corner, images[:, :, y : y + 32, x : x + 32]).maps for y in (0, 8) for x in (0, 8)]
    centre = sum(q[:, 20 - y, 20 - x] for q, (y, x) in zip(quarters, [(0, 0), (0, 8), (8, 0), (8, 8)], strict=True)) / 4
    torch.testing.assert_close(maps[:, 20, 20], centre)


def test_warm_up_trains_l2_first():
    detector = AutoencoderDetector((1, 32, 32), error="ssim", warm_up=0.25)
    x, y = torch.rand(2, 2, 1, 32, 32)
    early, late = detector._losses(x, y, 0.2), detector._losses(x, y, 0.25)
    assert early["loss"] == (x - y).square().mean()
    assert late["loss"] == late["1-ssim"] == early["1-ssim"]


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [((3, 48, 48), {}, "48 pixels"), ((3, 64, 32), {}, "not square"), ((3, 64, 64), {"error": "l1"}, "l1"),
     ((3, 64, 64), {"out_act": "tanh"}, "out_act"), ((3, 64, 64), {"error": "ssim", "ssim_constants": "x"}, "'x'")],
)  # fmt: skip
def test_wrong_options_are_named(shape, options, message):
    with pytest.raises(ConfigError, match=message):
        AutoencoderDetector(shape, **options)
