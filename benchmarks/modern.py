"""PatchCore's and PaDiM's maps beside anomalib's, on the same features of the same images.

    PYTHONPATH=. ANOMALIB_PYTHON -P benchmarks/modern.py FOLDER [TRAIN TEST]

Run it with an interpreter that has anomalib and this repository's requirements (-P: benchmarks/baselines.py would hide
the package baselines). FOLDER is a prepared category, such as
work/data/lite/mvtec_ad/bottle/128px; TRAIN and TEST limit the images (default: all). Printed are, for the same memory
(PatchCore) and the same choice of channels (PaDiM), the largest difference of two maps as a share of their range and
their correlation; and for two memories chosen independently the pixel AuROC of each.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from anomalib.models.image.padim.torch_model import PadimModel
from anomalib.models.image.patchcore.torch_model import PatchcoreModel
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from baselines.modern.padim import Padim
from baselines.modern.patchcore import PatchCore
from harness.data.prepared import Prepared
from harness.training.backbones import Backbone
from harness.training.checkpoint import Checkpoint
from harness.training.detector import TrainingSet
from harness.training.loop import Run
from harness.training.progress import Progress
from harness.training.schedule import Training

LAYERS = ["layer2", "layer3"]


class Extractor(nn.Module):
    """Our frozen network in the place of anomalib's."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.out_dims = list(backbone.channels.values())

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return self.backbone(images)


def compared(title: str, ours: Tensor, theirs: Tensor) -> None:
    ours, theirs = ours.flatten().double(), theirs.flatten().double()
    largest = float((ours - theirs).abs().max() / (theirs.max() - theirs.min()))
    correlation = float(torch.corrcoef(torch.stack([ours, theirs]))[0, 1])
    print(f"{title:<34} largest difference {largest:.2e} of the range, correlation {correlation:.7f}", flush=True)


@torch.no_grad()
def main(folder: Path, trained: int, tested: int) -> None:
    prepared = Prepared.open(folder)
    train, test, masks = prepared.train[:trained], prepared.test[::-1][:tested], prepared.masks[::-1][:tested]
    size = test.shape[1]
    training = TrainingSet(train, np.zeros(len(train), np.int64), test[:0], test[:0])
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Checkpoint(Path(scratch) / "c.pt")
        run = Run(torch.device("cpu"), "float32", 0, Training(), checkpoint, Progress("modern"))
        images, normal = run.images(test).contiguous(), run.images(train).contiguous()

        ours = PatchCore((3, size, size), layers=LAYERS, share=0.01).eval()
        ours.fit(training, run)
        theirs = PatchcoreModel(layers=LAYERS, backbone="resnet18", pre_trained=False).eval()
        theirs.feature_extractor = Extractor(ours.features.backbone)
        theirs.memory_bank = ours.memory
        mine, other = ours.predict(images), theirs(images)
        compared("PatchCore, maps, same memory", mine.maps, other.anomaly_map)
        compared("PatchCore, scores, same memory", mine.scores, other.pred_score)
        first = mine

        gaussians = Padim((3, size, size), layers=LAYERS, kept=50)
        gaussians.fit(training, run)
        model = PadimModel(layers=LAYERS, backbone="resnet18", pre_trained=False, n_features=50)
        model.feature_extractor, model.idx = Extractor(gaussians.features.backbone), gaussians.kept
        model.train()
        model.feature_extractor.eval()
        for part in normal.split(16):
            model(part)
        model.fit()
        model.eval()
        mine, other = gaussians.predict(images), model(images)
        compared("PaDiM, maps, same channels", mine.maps, other.anomaly_map)
        for name, maps in (("ours", mine.maps), ("anomalib", other.anomaly_map)):
            print(f"PaDiM: {name:<9} pixel AuROC {auroc(masks, maps):.4f}", flush=True)

        theirs.train()
        theirs.feature_extractor.eval()
        for part in normal.split(16):
            theirs(part)
        theirs.subsample_embedding(0.01)
        theirs.eval()
        for name, maps in (("ours", first.maps), ("anomalib", theirs(images).anomaly_map)):
            print(f"PatchCore, own coreset of 1 %: {name:<9} pixel AuROC {auroc(masks, maps):.4f}", flush=True)


def auroc(masks: np.ndarray, maps: Tensor) -> float:
    return float(roc_auc_score(masks.ravel() > 0, maps.flatten().numpy()))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    limits = [int(word) for word in sys.argv[2:4]] or [10**9, 10**9]
    main(Path(sys.argv[1]), *limits)
