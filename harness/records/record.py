"""A record: everything that an auditor needs behind one number, in one typed object with one constructor."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from harness.cell import CellKey, Options
from harness.config import validate
from harness.data.atomic import write_text
from harness.errors import ConfigError, EvidenceError
from harness.metrics.results import Measured
from harness.records.fingerprint import Keys, digest

SCHEMA = 3


@dataclass(frozen=True)
class ImageRow:
    """One test image: its score, and its IoU at the method's own threshold where that is defined."""

    id: str
    label: str
    anomalous: bool
    score: float
    iou: float | None


@dataclass(frozen=True)
class Overlay:
    """A small picture of a map over its image: a data URI."""

    image: str
    iou: float | None
    picture: str


@dataclass(frozen=True)
class Counts:
    """How many images a fit and its measurement saw; excluded: test images that moved into weak training."""

    train: int
    validation: int
    test_normal: int
    test_anomalous: int
    excluded: int

    @property
    def tested(self) -> int:
        """Return the number of test images."""
        return self.test_normal + self.test_anomalous


@dataclass(frozen=True)
class Cost:
    """What a stage took."""

    seconds: float
    peak_memory_bytes: int
    images_per_s: float | None = None


@dataclass(frozen=True)
class Hardware:
    """Where a fit ran."""

    processor: str
    cores: int
    memory_bytes: int
    threads: int
    device: str
    gpu: str | None = None
    cuda: str | None = None
    deterministic: bool = True

    @property
    def line(self) -> str:
        """Return the machine as one line: the GPU if one was used, else the processor."""
        if self.device.startswith("cuda"):
            return self.gpu or self.device
        parts = ((self.cores, "core"), (self.threads, "thread"))
        cores, threads = (f"{n} {word}{'' if n == 1 else 's'}" for n, word in parts)
        return ", ".join(filter(None, (self.processor, cores, threads, f"{self.memory_bytes / 2**30:.0f} GiB")))


@dataclass(frozen=True)
class Rekeying:
    """A change of code that was shown to change no number: the fingerprint before, and the fits that showed it."""

    fingerprint: str
    date: str
    commit: str
    shown_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Record:
    """One cell's numbers and where they come from. Only what a failed cell cannot have has a default.

    Attributes:
        keys: what the number depends on, apart from its data.
        curve: {"thresholds", "iou"}; None without masks or maps.
        images: the first test images, `harness.records.evaluate.IMAGES_KEPT` at most.
        losses: a training loop's name to its thinned log: {"step": […], a loss's name: […]}.
        yardsticks: what each yardstick reaches on the same data, by the measures' ids.
        maps_digest: the sha256 of the maps and scores that were measured: equal digests, equal numbers.
        flaw: why the fit is no sound model although it ended well, such as a collapsed posterior.
        rekeyed: earlier fingerprints or, where that stayed, names of the same numbers, oldest first.
    """

    protocol: str
    dataset: str
    category: str
    method: str
    seed: int
    status: str
    reason: str | None
    log_tail: tuple[str, ...]
    keys: Keys
    data_digest: str
    measures: tuple[Measured, ...]
    curve: Mapping[str, list[float | None]] | None
    images: tuple[ImageRow, ...]
    counts: Counts
    maps_digest: str | None
    data_notes: tuple[str, ...]
    weights_origin: str
    precision: str
    training: Options
    commit: str
    dirty: bool
    hardware: Hardware
    libraries: Mapping[str, str]
    fit: Cost
    export: Cost
    date: str
    losses: Mapping[str, Mapping[str, list[float]]] = field(default_factory=dict)
    overlays: tuple[Overlay, ...] = ()
    yardsticks: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    flaw: str | None = None
    rekeyed: tuple[Rekeying, ...] = ()

    @property
    def cell(self) -> CellKey:
        """Return the names under which the record lies."""
        return CellKey(self.protocol, self.dataset, self.category, self.method, self.seed)

    @property
    def fit_key(self) -> str:
        """Return the name of its fit's folder."""
        return self.keys.fit_key

    @property
    def fingerprint(self) -> str:
        """Return the hash of all that the numbers depend on."""
        return self.keys.fingerprint(self.data_digest)

    @property
    def failed(self) -> bool:
        """Whether the cell failed; `reason` says why."""
        return self.status == "failed"

    def measure(self, name: str, policy: str | None = None) -> Measured | None:
        """Return one number by the measure's id and the threshold's policy; None if it was not measured."""
        return next((m for m in self.measures if (m.name, m.policy) == (name, policy)), None)

    def content(self) -> dict[str, Any]:
        """Return the record as its file holds it, sealed."""
        plain = asdict(self) | {"measures": [measure.as_dict() for measure in self.measures]}
        content = {"schema": SCHEMA, "fingerprint": self.fingerprint, **json.loads(json.dumps(plain))}
        return content | {"seal": seal(content)}

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Self:
        """Build from a file's content. Raises KeyError or TypeError where that is not a record's."""
        known = {f.name for f in fields(cls)}
        built = {key: value for key, value in content.items() if key in known}
        parts: dict[str, Any] = {"keys": Keys, "counts": Counts, "hardware": Hardware, "fit": Cost, "export": Cost}
        rows: dict[str, Any] = {"images": ImageRow, "overlays": Overlay}
        built |= {key: kind(**content[key]) for key, kind in parts.items()}
        built |= {key: tuple(kind(**row) for row in content[key]) for key, kind in rows.items()}
        built["measures"] = tuple(Measured.read(row) for row in content["measures"])
        built["rekeyed"] = tuple(Rekeying(**row | {"shown_by": tuple(row["shown_by"])}) for row in content["rekeyed"])
        frozen: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in built.items()
        }
        return cls(**frozen)

    def write(self, path: Path) -> None:
        """Write atomically. Raises EvidenceError when a field does not fit the schema or a measure is not finite."""
        content = self.content()
        check(content, path)
        write_text(path, dumps(content))


def seal(content: Mapping[str, Any]) -> str:
    """Return the hash of everything else that a record says: whoever edits a record by hand breaks it.

    It tells an edited record from one whose sources changed; it is no signature, and who wants to forge can compute it.
    """
    return digest({key: value for key, value in content.items() if key != "seal"})


def dumps(content: Mapping[str, Any]) -> str:
    """Return the JSON text of a record: one line a field, long lists one line an item, so that a diff is readable."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n  ".join(json.dumps(item, allow_nan=False) for item in value)
            lines.append(f'"{key}": [\n  {items}\n ]')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def check(content: Mapping[str, Any], path: Path) -> None:
    """Check a record's content. Raises EvidenceError with one line that names the file and the fault."""
    try:
        validate(content, "record", path)
    except ConfigError as error:
        raise EvidenceError(str(error)) from None
    for measure in content["measures"]:
        if measure["value"] is not None and not math.isfinite(measure["value"]):
            raise EvidenceError(f"{path}: measure {measure['name']} is not a number; delete the file and measure again")
