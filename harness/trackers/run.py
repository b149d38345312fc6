"""What a tracker is told of a record: a run with settings, curves, measures and pictures. Needs no tracker."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from harness.records.fingerprint import digest
from harness.records.losses import NO_LOSS, finite_lines, thinned_losses
from harness.records.overlays import SIDE, decoded
from harness.records.record import Record

Value = str | int | float | bool


class Point(NamedTuple):
    """One value of a curve; time in seconds since 1970."""

    curve: str
    step: int
    value: float
    time: float


@dataclass(frozen=True)
class Run:
    """A record as trackers show it.

    Attributes:
        name: <protocol>/<dataset>/<category>/<method>/seed<k>/<first characters of the record's seal>.
        seal: the seal of the record.
        settings: what was chosen before the fit.
        about: what else is to be known: where the numbers come from.
        measures: the numbers, and what the fit cost.
        points: the losses of training, curve by curve.
        pictures: an image's id to its overlay as a data URI.
        started: seconds since 1970; the run is as long as fit and export took.
        ended: when the record was written.
        text: the record's file.
    """

    name: str
    seal: str
    settings: Mapping[str, Value]
    about: Mapping[str, str]
    measures: Mapping[str, float]
    points: tuple[Point, ...]
    pictures: Mapping[str, str]
    started: float
    ended: float
    failed: bool
    text: str

    @property
    def digest(self) -> str:
        """Return the hash of all that a tracker is told: equal, and there is nothing to tell."""
        return digest(asdict(self))

    def images(self) -> Iterator[tuple[str, bytes]]:
        """Yield the name and the PNG of each overlay."""
        for image, picture in self.pictures.items():
            file = io.BytesIO()
            Image.fromarray(decoded(picture, SIDE)).save(file, "PNG")
            yield plain(image.rpartition(".")[0] or image), file.getvalue()


def run_of(record: Record, path: Path, shown: str, logs: tuple[Path, ...]) -> Run:
    """Return a record as a run. Its curves come from the first of `logs` that is its fit's, else from the record."""
    text = path.read_text()
    seal = str(json.loads(text)["seal"])
    ended = datetime.fromisoformat(record.date).timestamp()
    log = next((log for log in logs if log.is_file() and thinned_losses(log) == record.losses), None)
    points = _logged(log) if log else _recorded(record.losses, ended)
    return Run(
        name="/".join((*map(str, record.cell[:-1]), f"seed{record.seed}", seal[:8])),
        seal=seal,
        settings=dict(_settings(record)),
        about={**_about(record), "record": shown, "curves": "whole log" if log else "thinned, from the record"},
        measures=dict(_measures(record)),
        points=tuple(points),
        pictures={overlay.image: overlay.picture for overlay in record.overlays},
        started=ended - record.fit.seconds - record.export.seconds,
        ended=ended,
        failed=record.failed,
        text=text,
    )


def plain(name: str) -> str:
    """Return a name of the characters that every tracker and file system takes."""
    return re.sub(r"[^\w.\- ]", "_", name, flags=re.ASCII)


def _settings(record: Record) -> Iterator[tuple[str, Value]]:
    yield from record.cell._asdict().items()
    yield from (("weights_origin", record.weights_origin), ("precision", record.precision))
    yield from (("images.train", record.counts.train), ("images.test", record.counts.tested))
    yield from _flat("training", record.training)


def _flat(name: str, value: Any) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}.{plain(str(key))}", inner)
    elif value is not None:
        yield name, value if isinstance(value, (bool, int, float, str)) else json.dumps(value)


def _about(record: Record) -> dict[str, str]:
    names = ("status", "reason", "flaw", "fit_key", "fingerprint", "data_digest", "commit", "dirty", "date")
    told = {name: getattr(record, name) for name in names}
    told |= {"machine": record.hardware.line} | {f"library.{name}": of for name, of in record.libraries.items()}
    return {name: str(value) for name, value in told.items() if value is not None}


def _measures(record: Record) -> Iterator[tuple[str, float]]:
    for number in record.measures:
        name = "measures/" + plain(".".join(filter(None, (number.name, number.policy))))
        if number.value is not None:
            yield name, number.value
            yield from zip((f"{name}.low", f"{name}.high"), number.interval or (), strict=False)
    yield "cost/fit_seconds", record.fit.seconds
    yield "cost/fit_peak_memory_bytes", float(record.fit.peak_memory_bytes)


def _recorded(losses: Mapping[str, Mapping[str, list[float]]], time: float) -> Iterator[Point]:
    for loop, columns in losses.items():
        for name, values in columns.items():
            if name != "step":
                steps = map(int, columns["step"])
                yield from (Point(_curve(loop, name), *pair, time) for pair in zip(steps, values, strict=True))


def _logged(log: Path) -> list[Point]:
    """Return every value of a log, ordered; a loop that was resumed wrote some steps twice: the later line counts."""
    found: dict[tuple[str, int], Point] = {}
    time = log.stat().st_mtime
    for line in finite_lines(log):
        time = float(line.get("time", time))
        named = {"images_per_s": line["images_per_s"]} if "images_per_s" in line else {}
        if "validation_step" in line:
            new = [Point("validation/error", int(line["validation_step"]), float(line["validation_error"]), time)]
        else:
            named |= {name: value for name, value in line.items() if name not in NO_LOSS}
            new = [Point(_curve(line["loop"], name), int(line["step"]), float(of), time) for name, of in named.items()]
        found |= {(point.curve, point.step): point for point in new}
    return [found[key] for key in sorted(found)]


def _curve(loop: str, name: str) -> str:
    return f"{plain(loop)}/{plain(name)}"
