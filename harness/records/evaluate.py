"""Evaluate one cell: maps, scores and ground truth in, a record out. The only maker of records."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cell import Grading, Method
from harness.data.prepared import Prepared
from harness.metrics.evaluate import evaluate
from harness.metrics.results import Evaluation, MeasureSettings
from harness.records.record import Record
from harness.training.maps import MapsReader

IMAGES_KEPT = 500


def measure(
    place: Mapping[str, Any],
    method: Method,
    measures: Grading,
    keys: Mapping[str, Any],
    fit: Mapping[str, Any],
    export: Mapping[str, Any],
    maps: Path,
    truth: Prepared,
) -> Record:
    """Grade exported maps and scores against `truth`. A failed fit or export gives a failed record.

    `place` names the cell (protocol, dataset, category, method, seed), `keys` what its number depends on (fingerprint,
    fit_key, measuring_key); `fit` and `export` are the stages' markers.
    """
    failed = next((marker for marker in (fit, export) if marker["status"] == "failed"), None)
    evaluation, rows, counts = None, [], dict.fromkeys(("test_normal", "test_anomalous", "excluded"), 0)
    if failed is None:
        reader = MapsReader(maps, method.map)
        index = reader.test_index
        evaluation = _evaluate(reader, truth, index, method, measures, export, place["seed"])
        rows = _image_rows(truth, index, evaluation)
        anomalous = int(truth.test_labels[index].sum())
        counts |= {"test_normal": len(index) - anomalous, "test_anomalous": anomalous}
        counts["excluded"] = len(truth.test_labels) - len(index)
    held_out = len(truth.manifest["validation"].get(str(place["seed"]), [])) if method.validation else 0
    counts |= {"train": truth.manifest["counts"]["train"] - held_out, "validation": held_out}
    return Record(
        **place,
        status="measured" if failed is None else "failed",
        reason=None if failed is None else failed["reason"],
        log_tail=[] if failed is None else failed["log_tail"],
        **keys,
        measures=[measure.as_dict() for measure in evaluation.measures] if evaluation else [],
        curve=_shortened(evaluation.curve) if evaluation and evaluation.curve else None,
        images=rows[:IMAGES_KEPT],
        counts=counts,
        data_digest=truth.manifest["digest"],
        data_notes=truth.manifest["notes"],
        date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **_provenance(fit, export),
    )


def _evaluate(
    reader: MapsReader,
    truth: Prepared,
    index: np.ndarray,
    method: Method,
    measures: Grading,
    export: Mapping[str, Any],
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
            map_policies=map_policies(method, measures, export),
            image_policies=image_policies(method),
            empty_when_normal=method.empty_when_normal,
            minimum_area=measures.minimum_area,
            own_threshold=export.get("own_threshold"),
            curve_points=measures.curve_points,
            bootstrap=measures.bootstrap,
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


def map_policies(method: Method, measures: Grading, export: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the map thresholds to measure at: the method's own first, then all that have a meaning for its maps."""
    policies = [method.threshold, "best_on_test"]
    if method.validation:
        policies.append("normal_validation")
    if export.get("own_threshold") is not None:
        policies.append("own")
    if _map_range(method, export) is not None:
        policies += [f"fixed:{threshold:g}" for threshold in measures.fixed_thresholds]
    return tuple(dict.fromkeys(policies))


def _map_range(method: Method, export: Mapping[str, Any]) -> Any:
    """Return the declared range of the method's map; of several maps each may have its own."""
    declared = export.get("map_range")
    return declared.get(method.map) if isinstance(declared, Mapping) else declared


def image_policies(method: Method) -> tuple[str, ...]:
    """Return the score thresholds to measure at: the method's own first, then the oracle."""
    return tuple(dict.fromkeys([method.image_threshold, "best_on_test"]))


def _image_rows(truth: Prepared, index: np.ndarray, evaluation: Evaluation) -> list[dict[str, Any]]:
    chosen = truth.test_images.iloc[index]
    return [
        {"id": str(row.id), "label": str(row.label), "anomalous": bool(row.anomalous)}
        | {name: None if value is None else float(f"{value:.7g}") for name, value in measured.items()}
        for row, measured in zip(chosen.itertuples(index=False), evaluation.images, strict=True)
    ]


def _shortened(curve: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return a curve with seven digits: it is for the eye, and records are committed."""
    return {name: [float(f"{value:.7g}") for value in values] for name, values in curve.items()}


def _provenance(fit: Mapping[str, Any], export: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stages' markers say of the machine, the code and the time that it took."""
    device = {key: fit[key] for key in ("device", "gpu", "cuda", "deterministic") if key in fit}
    return {
        "weights_origin": fit["weights_origin"],
        "precision": fit["precision"],
        "training": fit["training"],
        "commit": fit["commit"],
        "dirty": fit["dirty"],
        "hardware": fit["hardware"] | device | {"threads": fit["threads"]},
        "libraries": fit["libraries"],
        "fit": {key: fit[key] for key in ("seconds", "peak_memory_bytes")} | {"flaw": fit.get("flaw")},
        "export": {key: export[key] for key in ("seconds", "peak_memory_bytes", "images_per_s") if key in export},
    }
