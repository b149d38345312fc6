"""Records: the evidence of one cell. Written atomically, checked against a schema, made by one constructor only.

This module is part of what a measurement depends on; `reading` and `migrate` are not.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.config import validate
from harness.errors import ConfigError, EvidenceError
from harness.records.fingerprint import digest

SCHEMA = 2


@dataclass(frozen=True, kw_only=True)
class Record:
    """Everything that an auditor needs behind one number. No field has a default: nothing can be left out."""

    protocol: str
    dataset: str
    category: str
    method: str
    seed: int
    status: str
    reason: str | None
    log_tail: list[str]
    fingerprint: str
    fit_key: str
    measuring_key: str
    measures: list[dict[str, Any]]
    curve: dict[str, list[float]] | None
    images: list[dict[str, Any]]
    counts: dict[str, int]
    data_digest: str
    data_notes: list[str]
    weights_origin: str
    precision: str
    training: dict[str, Any]
    commit: str
    dirty: bool
    hardware: dict[str, Any]
    libraries: dict[str, str]
    fit: dict[str, Any]
    export: dict[str, Any]
    date: str

    def write(self, path: Path) -> None:
        """Write atomically. Raises EvidenceError when a field does not fit the schema or a measure is not finite."""
        content = {"schema": SCHEMA, **asdict(self)}
        content["seal"] = seal(content)
        check(content, path)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_text(dumps(content))
        temporary.replace(path)


def seal(content: Mapping[str, Any]) -> str:
    """Return the hash of everything else that a record says: whoever edits a record by hand breaks it.

    It tells an edited record from one whose sources changed; it is no signature, and who wants to forge can compute it.
    """
    return digest({key: value for key, value in content.items() if key != "seal"})


def dumps(content: dict[str, Any]) -> str:
    """Return the JSON text of a record: one line a field, long lists one line an item, so that a diff is readable."""
    lines = []
    for key, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            items = ",\n  ".join(json.dumps(item, allow_nan=False) for item in value)
            lines.append(f'"{key}": [\n  {items}\n ]')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}")
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def check(content: dict[str, Any], path: Path) -> None:
    """Check a record's content. Raises EvidenceError with one line that names the file and the fault."""
    try:
        validate(content, "record", path)
    except ConfigError as error:
        raise EvidenceError(str(error)) from None
    for measure in content["measures"]:
        if measure["value"] is not None and not math.isfinite(measure["value"]):
            raise EvidenceError(f"{path}: measure {measure['name']} is not a number; delete the file and measure again")
