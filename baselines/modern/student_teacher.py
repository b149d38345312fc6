"""A student and an autoencoder that learn to predict a frozen teacher's features on normal images, after EfficientAD-S.

Source: Batzner, Heckler, König, "EfficientAD: Accurate Visual Anomaly Detection at Millisecond-Level Latencies", WACV
2024.

Certain: The student is a patch description network of four convolutions (4×4, 4×4, 3×3, 4×4) with two mean poolings; it
gives two predictions, one of the teacher's features, one of the autoencoder's output. The teacher's features are
standardised per channel on the training images. The student's loss is the mean of the largest 0.1 % of the squared
differences; the autoencoder, with a bottleneck of 64 numbers, and the student's other half are trained with mean
squared differences on images whose brightness, contrast or saturation is changed by up to 20 %. Each of the two maps is
scaled so that its 0.9 and 0.995 quantiles on normal validation images become 0 and 0.1; the map is their mean, the
score its maximum. Adam 1e-4, weight decay 1e-5, one image a step, 70,000 steps, the rate falls tenfold after 95 %.

Ours: The student's output is averaged to the teacher's grid. The autoencoder halves the image five times, reduces what
is left to one cell and doubles that up to the teacher's grid.

Deviations: The teacher is not their own distilled network, whose weights need ImageNet's images, but stages of
EfficientNet-Lite0 themselves. The penalty on what the student says of other images is applied where the training set
brings such images (`auxiliary`), and left out where not; a line of the log says which. The lite and demo protocols
halve the student's width or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import functional as colours

from baselines.inputs import image_batches
from baselines.modern.features import PatchFeatures
from harness.errors import FitError
from harness.training.detector import Detector, Prediction, TrainingSet
from harness.training.loop import Batch, Losses, Phase, Run

CHANGES = (colours.adjust_brightness, colours.adjust_contrast, colours.adjust_saturation)


def description_network(channels: int, width: int, outputs: int) -> nn.Sequential:
    """Return the student: images (N,channels,H,W) to descriptors (N,outputs,about H/4,about W/4)."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, padding="same"), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(width, 2 * width, 4, padding="same"), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(2 * width, 2 * width, 3, padding="same"), nn.ReLU(),
        nn.Conv2d(2 * width, outputs, 4, padding="same"),
    )  # fmt: skip


class Autoencoder(nn.Module):
    """Images (N,C,H,W) to the teacher's features (N,outputs,h,w) through a bottleneck of 64 numbers."""

    def __init__(self, shape: tuple[int, int, int], outputs: int, grid: tuple[int, int]) -> None:
        super().__init__()
        widths = [shape[0], 32, 32, 64, 64, 64]
        halvings = [
            layer for before, after in pairwise(widths) for layer in (nn.Conv2d(before, after, 4, 2, 1), nn.ReLU())
        ]
        self.encoder = nn.Sequential(*halvings, nn.Conv2d(64, 64, (shape[1] // 32, shape[2] // 32)))
        self.grid = grid
        count = max(1, (max(grid) - 1).bit_length())
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Dropout(0.2)) for _ in range(count)
        )
        self.last = nn.Sequential(nn.Conv2d(64, 64, 3, 1, 1), nn.ReLU(), nn.Conv2d(64, outputs, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return the predicted features."""
        value = self.encoder(images)
        for number, layer in enumerate(self.decoder, 1):
            size = [max(1, side >> (len(self.decoder) - number)) for side in self.grid]
            value = layer(F.interpolate(value, size, mode="bilinear", align_corners=False))
        return self.last(value)


class StudentTeacher(Detector):
    """EfficientAD-S with a teacher that everybody has.

    Args:
        shape: (C, H, W) of the images.
        encoder, encoder_weights, layers: the teacher, "imagenet" or "none", and its stages.
        width: channels of the student's first convolution (its others have twice as many).
        hard: share of the squared differences that the student's loss leaves out, the smallest ones.
        weight_decay: of Adam.
    """

    mean: Tensor
    std: Tensor
    quantiles: Tensor

    def __init__(
        self, shape: tuple[int, int, int], *, encoder: str = "efficientnet_lite0", encoder_weights: str = "imagenet",
        layers: Sequence[str] = ("layer3", "layer5"), width: int = 128, hard: float = 0.999, weight_decay: float = 1e-5,
    ) -> None:  # fmt: skip
        super().__init__(shape)
        self.teacher = PatchFeatures(encoder, encoder_weights, layers)
        self.weights_origin = f"teacher: {self.teacher.origin}; student: random initialisation"
        self.hard, self.weight_decay = hard, weight_decay
        channels = self.teacher.channels
        grid = self.teacher(torch.zeros(1, *shape)).shape[-2:]
        self.student = description_network(shape[0], width, 2 * channels)
        self.autoencoder = Autoencoder(shape, channels, (grid[0], grid[1]))
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))
        self.register_buffer("quantiles", torch.tensor([[0.0, 1.0], [0.0, 1.0]]))

    def fit(self, train: TrainingSet, run: Run) -> None:
        """Standardise the teacher, train student and autoencoder together, scale both maps on validation images."""
        if len(train.validation) == 0:
            raise FitError("the maps are scaled on normal validation images; set `validation: true` in the entry")
        run.prepare(self)
        self._standardise(train.images, run)
        auxiliary = train.auxiliary if train.auxiliary is not None and len(train.auxiliary) else None
        run.progress.note(f"penalty on other images: {'left out, there are none' if auxiliary is None else 'applied'}")
        learners = [*self.student.parameters(), *self.autoencoder.parameters()]
        adam = torch.optim.Adam(learners, lr=run.training.learning_rate, weight_decay=self.weight_decay)
        run.loop(self, train.images, [Phase(adam, lambda batch: self._loss(batch, run, auxiliary))])
        self._scale(train.validation, run)

    @torch.no_grad()
    def _standardise(self, images: np.ndarray, run: Run) -> None:
        """Set mean and deviation (D,1,1) of the teacher's features."""
        count, total, squares = 0, torch.zeros((), device=run.device), torch.zeros((), device=run.device)
        for batch in image_batches(images, run.device):
            features = self.teacher(batch).double()
            count += features[:, 0].numel()
            total = total + features.sum((0, 2, 3))
            squares = squares + features.square().sum((0, 2, 3))
        mean = total / count
        self.mean = mean.float().view(-1, 1, 1)
        self.std = (squares / count - mean.square()).clamp(min=1e-12).sqrt().float().view(-1, 1, 1)

    def _loss(self, batch: Batch, run: Run, auxiliary: np.ndarray | None) -> Losses:
        wanted = self._taught(batch.images)
        changed = change_colours(batch.images)
        wanted_changed = self._taught(changed)
        with run.autocast():
            of_teacher = self._predicted(batch.images)[0].float()
            of_autoencoder = self._predicted(changed)[1].float()
            decoded = self.autoencoder(changed).float()
        differences = (wanted - of_teacher).square()
        student = differences[differences >= torch.quantile(differences.detach().flatten(), self.hard)].mean()
        losses = {
            "student": student,
            "autoencoder": F.mse_loss(decoded, wanted_changed),
            "student_of_autoencoder": F.mse_loss(of_autoencoder, decoded.detach()),
        }
        if auxiliary is not None:
            others = run.images(auxiliary[torch.randint(len(auxiliary), (len(batch.images),)).numpy()])
            with run.autocast():
                losses["penalty"] = self._predicted(others)[0].float().square().mean()
        return {"loss": torch.stack(list(losses.values())).sum(), **losses}

    def _taught(self, images: Tensor) -> Tensor:
        return (self.teacher(images) - self.mean) / self.std

    def _predicted(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the student's predictions of the teacher and of the autoencoder, on the teacher's grid."""
        both = F.adaptive_avg_pool2d(self.student(images), self.autoencoder.grid)
        first, second = both.chunk(2, dim=1)
        return first, second

    def _maps(self, images: Tensor) -> Tensor:
        """Return both maps (2,N,h,w): student against teacher, student against autoencoder."""
        of_teacher, of_autoencoder = self._predicted(images)
        against_teacher = (self._taught(images) - of_teacher).square().mean(1)
        against_autoencoder = (self.autoencoder(images) - of_autoencoder).square().mean(1)
        return torch.stack([against_teacher, against_autoencoder])

    @torch.no_grad()
    def _scale(self, images: np.ndarray, run: Run) -> None:
        """Set the quantiles (map, low and high) that become 0 and 0.1."""
        self.eval()
        maps = torch.cat([self._maps(batch) for batch in image_batches(images, run.device)], dim=1)
        values = maps.flatten(1).double().cpu().numpy()
        self.quantiles = torch.from_numpy(np.quantile(values, [0.9, 0.995], axis=1).T.copy()).float().to(run.device)

    @torch.no_grad()
    def predict(self, images: Tensor) -> Prediction:
        """Return the mean of both scaled maps (N,H,W), and its maxima (N,)."""
        low, high = self.quantiles[:, 0].view(2, 1, 1, 1), self.quantiles[:, 1].view(2, 1, 1, 1)
        scaled = (0.1 * (self._maps(images) - low) / (high - low).clamp(min=1e-12)).mean(0)
        maps = F.interpolate(scaled[:, None], self.shape[1:], mode="bilinear", align_corners=False)[:, 0]
        return Prediction(maps, maps.flatten(1).amax(1))


def change_colours(images: Tensor) -> Tensor:
    """Change brightness, contrast or saturation of a batch (N,C,H,W) by one random factor from [0.8, 1.2]."""
    which = int(torch.randint(len(CHANGES), ()))
    factor = float(torch.empty(()).uniform_(0.8, 1.2))
    changed: Tensor = CHANGES[which](images, factor)
    return changed
