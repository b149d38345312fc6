"""Evaluate one cell: maps, scores and ground truth in, a record out. The only maker of records."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cell import CellKey, Grading, Method
from harness.data.prepared import Prepared
from harness.metrics.evaluate import evaluate
from harness.metrics.results import Evaluation, MeasureSettings
from harness.records.fingerprint import Keys
from harness.records.losses import file_digest, thinned_losses
from harness.records.overlays import overlays
from harness.records.record import Cost, Counts, Hardware, ImageRow, Overlay, Record
from harness.training.maps import MapsReader

IMAGES_KEPT = 500
NONE: Mapping[str, Mapping[str, float]] = {}


def measure(
    cell: CellKey,
    method: Method,
    grading: Grading,
    keys: Keys,
    fit: Mapping[str, Any],
    maps: Path,
    truth: Prepared,
    *,
    pictures: bool = False,
    yardsticks: Mapping[str, Mapping[str, float]] = NONE,
) -> Record:
    """Grade maps and scores against `truth`. A failed fit gives a failed record.

    `keys` says what the number depends on; `fit` is the status of the fit that made the maps; `pictures`: whether the
    licence of the data lets small pictures of them go with the record; `yardsticks`: what these reach on the same data.
    """
    failed = fit if fit["status"] == "failed" else None
    evaluation, index = None, np.empty(0, np.int64)
    rows: tuple[ImageRow, ...] = ()
    shown: tuple[Overlay, ...] = ()
    if failed is None:
        reader = MapsReader(maps, method.map)
        index = reader.test_index
        evaluation = _evaluate(reader, truth, index, method, grading, fit, cell.seed)
        rows = _image_rows(truth, index, evaluation)
        if pictures and reader.has_maps:
            shown = overlays(reader, truth, rows, cell.seed, _threshold(evaluation, method))
    return Record(
        **cell._asdict(),
        status="measured" if failed is None else "failed",
        reason=None if failed is None else failed["reason"],
        log_tail=() if failed is None else tuple(failed["log_tail"]),
        keys=keys,
        data_digest=truth.manifest.digest,
        measures=evaluation.measures if evaluation else (),
        curve=_shortened(evaluation.curve) if evaluation and evaluation.curve else None,
        images=rows[:IMAGES_KEPT],
        counts=_counts(truth, index, cell.seed, method.validation, measured=failed is None),
        maps_digest=None if failed else file_digest(maps),
        data_notes=tuple(truth.manifest.notes),
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        losses=thinned_losses(maps.parent / "log.jsonl"),
        overlays=shown,
        yardsticks=yardsticks,
        **_provenance(fit),
    )


def _threshold(evaluation: Evaluation, method: Method) -> float | None:
    """Return the threshold behind the method's IoU; None where there is none."""
    found = [m.threshold for m in evaluation.measures if (m.name, m.policy) == ("iou", method.threshold)]
    return found[0] if found else None


def _counts(truth: Prepared, index: np.ndarray, seed: int, validation: bool, *, measured: bool) -> Counts:
    held_out = len(truth.manifest.validation.get(str(seed), [])) if validation else 0
    # Data that could not be prepared have no test images to look at.
    anomalous = int(truth.test_labels[index].sum()) if measured else 0
    return Counts(
        train=truth.manifest.counts["train"] - held_out,
        validation=held_out,
        test_normal=len(index) - anomalous,
        test_anomalous=anomalous,
        excluded=len(truth.test_labels) - len(index) if measured else 0,
    )


def _evaluate(
    reader: MapsReader,
    truth: Prepared,
    index: np.ndarray,
    method: Method,
    grading: Grading,
    fit: Mapping[str, Any],
    seed: int,
) -> Evaluation:
    name = method.score
    masks = None if truth.masks is None else _Chosen(truth.masks, index)
    return evaluate(
        (lambda: _maps(reader, "test")) if reader.has_maps else None,
        reader.low,
        reader.high,
        masks,
        truth.test_labels[index],
        reader.named_scores(name),
        (lambda: _maps(reader, "validation")) if reader.has_maps and len(reader.validation_scores) else None,
        reader.named_scores(name, "validation") if len(reader.validation_scores) else None,
        MeasureSettings(
            map_policies=map_policies(method, grading, fit),
            image_policies=image_policies(method),
            empty_when_normal=method.empty_when_normal,
            minimum_area=grading.minimum_area,
            own_threshold=fit.get("own_threshold"),
            curve_points=grading.curve_points,
            bootstrap=grading.bootstrap,
            seed=seed,
        ),
    )


class _Chosen(Sequence[NDArray[np.uint8]]):
    """The masks of the chosen test images, read one at a time from the memory-mapped array."""

    def __init__(self, masks: np.ndarray, index: np.ndarray) -> None:
        self.masks, self.chosen = masks, index

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, number: Any) -> Any:
        return np.asarray(self.masks[self.chosen[number]])


def _maps(reader: MapsReader, part: str) -> Iterator[np.ndarray]:
    for chunk in reader.chunks(part):
        yield from chunk


def map_policies(method: Method, grading: Grading, fit: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the map thresholds to measure at: the method's own first, then all that have a meaning for its maps."""
    policies = [method.threshold, "best_on_test"]
    if method.validation:
        policies.append("normal_validation")
    if fit.get("own_threshold") is not None:
        policies.append("own")
    if _map_range(method, fit) is not None:
        policies += [f"fixed:{threshold:g}" for threshold in grading.fixed_thresholds]
    return tuple(dict.fromkeys(policies))


def _map_range(method: Method, fit: Mapping[str, Any]) -> Any:
    """Return the declared range of the method's map; of several maps each may have its own."""
    declared = fit.get("map_range")
    return declared.get(method.map) if isinstance(declared, Mapping) else declared


def image_policies(method: Method) -> tuple[str, ...]:
    """Return the score thresholds to measure at: the method's own first, then the oracle."""
    return tuple(dict.fromkeys([method.image_threshold, "best_on_test"]))


def _image_rows(truth: Prepared, index: np.ndarray, evaluation: Evaluation) -> tuple[ImageRow, ...]:
    chosen = truth.test_images.iloc[index]
    rows = zip(chosen.itertuples(index=False), evaluation.images, strict=False)
    return tuple(
        ImageRow(
            str(row.id), str(row.label), bool(row.anomalous), _seven(measured["score"]) or 0.0, _seven(measured["iou"])
        )
        for row, measured in rows
    )


def _seven(value: float | None) -> float | None:
    """Return a number with seven digits: these are for the eye, and records are committed."""
    return None if value is None else float(f"{value:.7g}")


def _shortened(curve: Mapping[str, list[float]]) -> dict[str, list[float | None]]:
    return {name: [_seven(value) for value in values] for name, values in curve.items()}


def _provenance(fit: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the job's status says of the machine, the code and the time that it took."""
    export = fit.get("export", {})
    device = {key: fit[key] for key in ("device", "gpu", "cuda", "deterministic") if key in fit}
    return {
        "weights_origin": fit["weights_origin"],
        "precision": fit["precision"],
        "training": fit["training"],
        "flaw": fit.get("flaw"),
        "commit": fit["commit"],
        "dirty": fit["dirty"],
        "hardware": Hardware(**fit["hardware"], **device, threads=fit["threads"]),
        "libraries": fit["libraries"],
        "fit": Cost(fit["seconds"], fit["peak_memory_bytes"]),
        "export": Cost(export.get("seconds", 0.0), fit["peak_memory_bytes"], export.get("images_per_s")),
    }
