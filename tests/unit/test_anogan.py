import pytest
import torch
from sklearn.metrics import roc_auc_score

from baselines.anogan import AnoGan, Discriminator, Generator
from harness.errors import ConfigError
from harness.training.state import load_state, save_state
from tests.fits import make_run, planted, predict

SMALL = {"width": 8, "latent": 16, "iterations": 40}


def test_the_published_plan():
    generator, discriminator = Generator(3, 128), Discriminator(3, 128)
    assert sum(p.numel() for p in generator.parameters()) == 6437891
    shapes = []
    for layer in [*generator.layers, *discriminator.features]:
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
    images = generator(torch.rand(2, 64))
    assert discriminator(images).shape == (2,)
    assert shapes == [(256, 16, 16), (128, 32, 32), (64, 64, 64), (3, 128, 128),
                      (64, 64, 64), (128, 32, 32), (256, 16, 16), (512, 8, 8)]  # fmt: skip
    assert images.abs().max() <= 1
    kernels = {m.kernel_size for m in [*generator.modules(), *discriminator.modules()] if hasattr(m, "kernel_size")}
    assert kernels == {(5, 5)}
    assert generator.dense.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert not generator.dense.bias.any()


@pytest.mark.parametrize("size", [16, 32, 64, 256])
def test_other_sizes_leave_out_or_add_layers(size):
    images = Generator(1, size, 8, 4)(torch.rand(2, 8))
    assert images.shape == (2, 1, size, size)
    discriminator = Discriminator(1, size, 4)
    assert discriminator.features(images).shape[-2:] == (8, 8)
    assert discriminator(images).shape == (2,)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    train, images, masks = planted(32, kind="object", train=16)
    torch.manual_seed(0)
    detector = AnoGan(tuple(images.shape[1:]), **SMALL)
    before = {name: value.clone() for name, value in detector.named_parameters()}
    detector.fit(train, make_run(tmp_path_factory.mktemp("fit"), images_seen=800, learning_rate=1e-3))
    return detector, before, images, masks


def test_a_small_fit_finds_the_planted_defect(fitted, tmp_path):
    detector, before, images, masks = fitted
    assert all(not torch.equal(before[name], value) for name, value in detector.named_parameters())
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert roc_auc_score(masks.ravel(), prediction.maps.ravel()) > 0.7
    for name in ("", "search"):
        assert roc_auc_score(masks.any((1, 2)), prediction.scores[name]) > 0.7
    save_state(detector, tmp_path / "weights.safetensors")
    again = AnoGan(tuple(images.shape[1:]), **SMALL)
    load_state(again, tmp_path / "weights.safetensors")
    repeated = predict(again, images)
    assert torch.equal(repeated.maps, prediction.maps)
    assert not torch.equal(predict(detector, images, seed=1).maps, prediction.maps)


def test_the_batched_search_equals_single_searches(fitted):
    detector, _, images, _ = fitted
    detector.eval()
    scaled, codes = images * 2 - 1, torch.rand(len(images), 16) * 2 - 1
    found, ends = detector.search(scaled, codes)
    single = [detector.search(image[None], code[None]) for image, code in zip(scaled, codes, strict=True)]
    torch.testing.assert_close(found, torch.cat([image for image, _ in single]), atol=2e-3, rtol=0)
    torch.testing.assert_close(ends, torch.cat([end for _, end in single]), atol=0, rtol=1e-3)


def test_the_search_lowers_its_loss_and_leaves_the_networks_alone(fitted):
    detector, _, images, _ = fitted
    detector.eval()
    state = {name: value.clone() for name, value in detector.state_dict().items()}
    scaled, codes = images * 2 - 1, torch.rand(len(images), 16) * 2 - 1
    start = codes.clone()
    _, ends = detector.search(scaled, codes)
    with torch.no_grad():
        generated = detector.generator(codes)
        residual = (scaled - generated).abs().flatten(1).sum(1)
        features = detector.discriminator.features
        difference = (features(scaled) - features(generated)).abs().flatten(1).sum(1)
    assert (ends < 0.9 * residual + 0.1 * difference).all()
    assert torch.equal(codes, start)
    assert all(torch.equal(state[name], value) for name, value in detector.state_dict().items())


def test_one_step_of_the_discriminator_and_two_of_the_generator(tmp_path):
    train, images, _ = planted(16, channels=1)
    detector = AnoGan(tuple(images.shape[1:]), **SMALL)
    calls = []
    detector.generator.register_forward_hook(lambda *_: calls.append("G"))
    detector.discriminator.register_forward_hook(lambda *_: calls.append("D"))
    detector.fit(train, make_run(tmp_path, images_seen=8))
    assert calls == ["G", "D", "D", "G", "D", "G", "D"]


def test_textures_are_searched_in_patches_without_overlap(tmp_path):
    train, images, masks = planted(32, test=3)
    detector = AnoGan(tuple(images.shape[1:]), patch=16, patches=2, rotation=10, mirror=True, at_once=8, **SMALL)
    sizes = []
    detector.generator.register_forward_hook(lambda _, codes, __: sizes.append(len(codes[0])))
    detector.fit(train, make_run(tmp_path, images_seen=16))
    assert set(sizes) == {16}
    sizes.clear()
    prediction = predict(detector, images)
    assert prediction.maps.shape == masks.shape
    assert prediction.scores["search"].shape == (3,)
    assert set(sizes) == {8, 4}


def test_wrong_sizes_are_named():
    with pytest.raises(ConfigError, match="48 pixels"):
        AnoGan((3, 48, 48))
    with pytest.raises(ConfigError, match="not square"):
        AnoGan((3, 32, 64))
