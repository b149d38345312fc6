"""The measures, each declared once: what it is called, which way is better, what it needs, and the function.

Evaluation runs through these lists, tables read titles and directions here; a new measure is one more declaration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError
from harness.metrics import bootstrap, image
from harness.metrics.iou import iou, masked, mean_iou
from harness.metrics.regions import aupro
from harness.metrics.views import DecisionView, MaskView, PixelView, ScoreView

Better = Literal["higher", "lower", "neither"]
Need = Literal["maps", "masks", "scores", "threshold", "image_threshold", "fit", "export"]
View = TypeVar("View")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One quantity.

    Attributes:
        id: Its name in records and tables/*.yaml.
        title: As captions name it; the paper calls both pixel_auroc and image_auroc AuROC.
        better: Which numbers are; those of "neither" are not ranked.
        needs: Maps, masks, scores; the key of a method's entry that chooses the threshold; the record's block that
            holds the seconds.
        reduce: "mean" or "sum" over categories.
        unit: Of a cost, in seconds.
    """

    id: str
    title: str
    needs: frozenset[Need]
    better: Better = "higher"
    reduce: Literal["mean", "sum"] = "mean"
    unit: int = 1

    @property
    def maps(self) -> bool:
        """Whether it grades anomaly maps."""
        return "maps" in self.needs

    @property
    def threshold(self) -> Literal["threshold", "image_threshold"] | None:
        """The key of config/methods.yaml whose policy picks the number; None when no threshold is involved."""
        if "threshold" in self.needs:
            return "threshold"
        return "image_threshold" if "image_threshold" in self.needs else None

    @property
    def cost(self) -> Literal["fit", "export"] | None:
        """The record's block whose seconds are meant; None for what is measured on the images."""
        if "fit" in self.needs:
            return "fit"
        return "export" if "export" in self.needs else None


@dataclass(frozen=True, kw_only=True)
class Graded(Measure, Generic[View]):
    """A measure of maps or scores.

    Attributes:
        function: From what its kind of measure reads to the number; None where it is undefined.
        undefined: Why it then is.
        replicates: (B,) the number in each bootstrap replicate; None for measures without an interval.
    """

    function: Callable[[View], float | None]
    undefined: str = "undefined"
    replicates: Callable[[View], NDArray[np.float64]] | None = None


_PIXELS: frozenset[Need] = frozenset({"maps", "masks"})
_MARKED: frozenset[Need] = _PIXELS | {"threshold"}
_DECIDED: frozenset[Need] = frozenset({"scores", "image_threshold"})
_NO_NORMAL = "no normal pixel"


def _aupro(limit: float) -> Graded[PixelView]:
    return Graded(
        id=f"aupro_{limit:g}",
        title=f"AUPRO (FPR ≤ {limit:g})",
        needs=_PIXELS,
        function=lambda view: aupro(view.overlap, view.curves, limit),
        undefined=_NO_NORMAL,
    )


def _mean_overlap(view: PixelView) -> float | None:
    return None if view.per_image is None else float(np.nanmean(view.per_image))


def _share_marked(view: MaskView) -> float:
    curves = view.pixels.curves
    marked = curves.true_positives[view.code] + curves.false_positives[view.code]
    return float(marked / (curves.anomalous + curves.normal))


OF_PIXELS: tuple[Graded[PixelView], ...] = (
    Graded(
        id="pixel_auroc",
        title="AuROC",
        needs=_PIXELS,
        function=lambda view: view.curves.auroc(),
        undefined=_NO_NORMAL,
        replicates=lambda view: bootstrap.pixel_auroc(view.test.weights, view.test.pixels),
    ),
    Graded(
        id="average_precision",
        title="average precision",
        needs=_PIXELS,
        function=lambda view: view.curves.average_precision(),
    ),
    _aupro(0.3),
    _aupro(0.05),
    Graded(
        id="aupimo",
        title="AUPIMO",
        needs=_PIXELS,
        function=_mean_overlap,
        undefined="too few normal images to tell a false positive rate of 1e-5",
    ),
)
"""Over all thresholds of the maps."""

OF_MASKS: tuple[Graded[MaskView], ...] = (
    Graded(
        id="iou",
        title="IoU",
        needs=_MARKED,
        function=lambda view: float(view.pixels.curves.iou[view.code]),
        replicates=lambda view: bootstrap.pooled_iou(view.pixels.test.weights, view.counts),
    ),
    Graded(id="iou_per_image", title="IoU per image", needs=_MARKED, function=lambda view: mean_iou(view.counts)),
    Graded(
        id="iou_anomalous",
        title="IoU over anomalous images",
        needs=_MARKED,
        function=lambda view: float(iou(masked(view.counts).sum(axis=0))),
    ),
    Graded(
        id="pro",
        title="per-region overlap",
        needs=_MARKED,
        function=lambda view: float(view.pixels.overlap[view.code]),
    ),
    Graded(id="share_marked", title="share marked", needs=_MARKED, better="neither", function=_share_marked),
)
"""At one threshold of the maps."""

OF_SCORES: tuple[Graded[ScoreView], ...] = (
    Graded(
        id="image_auroc",
        title="AuROC",
        needs=frozenset({"scores"}),
        function=lambda view: image.image_auroc(view.scores, view.anomalous),
        undefined="only one class of images",
        replicates=lambda view: bootstrap.image_auroc(view.weights, view.scores, view.anomalous),
    ),
)
"""Over all thresholds of the scores."""

_decided = partial(Graded[DecisionView], needs=_DECIDED, undefined="only one class of images")

OF_DECISIONS: tuple[Graded[DecisionView], ...] = (
    _decided(
        id="class_accuracy",
        title="mean class accuracy",
        function=lambda view: image.class_accuracy(view.predicted, view.anomalous),
    ),
    _decided(
        id="accuracy",
        title="classification accuracy",
        function=lambda view: image.accuracy(view.predicted, view.anomalous),
    ),
)
"""At one threshold of the scores."""

_hours = partial(Measure, better="lower", reduce="sum", unit=3600)
_seconds = partial(Measure, better="lower")
OF_COSTS = (
    _hours(id="fit_hours", title="training hours", needs=frozenset({"fit"})),
    _hours(id="export_hours", title="testing hours", needs=frozenset({"export"})),
    _seconds(id="fit_seconds", title="training seconds", needs=frozenset({"fit"})),
    _seconds(id="export_seconds", title="testing seconds", needs=frozenset({"export"})),
)
"""Times, which a record holds beside its measures."""

_ALL: tuple[Measure, ...] = (*OF_PIXELS, *OF_MASKS, *OF_SCORES, *OF_DECISIONS, *OF_COSTS)
MEASURES = {measure.id: measure for measure in _ALL}


def measure(name: str, source: str) -> Measure:
    """Return a measure by its id. Raises ConfigError that names `source` for an unknown one."""
    if name not in MEASURES:
        raise ConfigError(f"{source}: unknown measure '{name}'; known: {', '.join(MEASURES)}")
    return MEASURES[name]
