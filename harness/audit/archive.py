"""A Workflow Run RO-Crate of one table: all that is needed to check it, in one zip ready for deposit.

Equal content gives equal bytes: entries are sorted and carry one fixed date (and the same zlib compresses them alike).
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.audit.crate import describe
from harness.cell import Config
from harness.config import protocol_files, read_yaml
from harness.data.atomic import atomic_file
from harness.errors import EvidenceError
from harness.paths import ROOT, found
from harness.records.reading import read_checked
from harness.records.record import Record
from harness.tables.render import FORMATS, read_table
from harness.tables.table import AnyTable, Table

LONG_AGO = (1980, 1, 1, 0, 0, 0)
SOURCES = (
    "config/config.yaml", "config/datasets.yaml", "config/methods.yaml", "config/readings.yaml", "requirements.lock",
    "LICENSE", "CITATION.cff", "published/SOURCES.md", "Snakefile",
)  # fmt: skip


def archive(path: Path, target: Path, config: Config, work: Path = Path("work")) -> int:
    """Pack the table in `path` (its JSON) into `target`. Returns the number of files in it.

    Raises EvidenceError when a view or record is missing or altered, or differs from what the table was built from.
    """
    table = read_table(path)
    records = _records(table, path)
    files = _sources(table, config) | {view.as_posix(): view for view in _views(path)}
    files |= {name: Path(name) for name in records}
    content = {name: _read(source) for name, source in files.items()}
    content["weights.json"] = _json(_weights(records, work))
    content["ro-crate-metadata.json"] = _json(describe(table, records, [v.as_posix() for v in _views(path)], content))
    with atomic_file(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            file.writestr(entry, content[name])
    return len(content)


def _records(table: AnyTable, path: Path) -> dict[str, Record]:
    """Return the records that a table was built from, checked, by path."""
    records = {}
    for line in table.provenance if isinstance(table, Table) else ():
        name = str(line.path)
        record = records[name] = read_checked(found(name))
        if record.fingerprint != line.fingerprint:
            raise EvidenceError(f"{path}: was built from another {name} than lies there; aggregate it again")
    if not records:
        raise EvidenceError(f"{path}: no record stands behind it; there is nothing to archive")
    return records


def _sources(table: AnyTable, config: Config) -> dict[str, Path]:
    """Return the configuration, description and published numbers behind a table: name in the crate to file."""
    description = read_yaml(ROOT / "tables" / f"{table.id}.yaml")
    names = [*SOURCES, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "workflow" / "rules").glob("*.smk"))]
    names.append(f"tables/{table.id}.yaml")
    if "published" in description:
        names.append(f"published/{description['published']}")
    files = {name: ROOT / name for name in names}
    protocol: str | None = table.protocol.id
    while protocol:
        file = protocol_files(config)[protocol]
        files[f"config/protocols/{file.name}"] = file
        protocol = read_yaml(file).get("extends")
    return files


def _views(path: Path) -> list[Path]:
    views = [path, *(path.with_suffix(f".{form}") for form in FORMATS)]
    missing = [view for view in views if not view.is_file()]
    if missing:
        raise EvidenceError(f"{missing[0]}: missing; run: python -m harness render {path}")
    return views


def _weights(records: Mapping[str, Record], work: Path) -> dict[str, str | None]:
    """Return the sha256 of each fit's weights by fit key; null where the fit is not on this machine."""
    digests: dict[str, str | None] = {}
    for key in sorted({record.fit_key for record in records.values()}):
        file = work / "fits" / key / "weights.safetensors"
        digests[key] = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
    return digests


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EvidenceError(f"{path}: cannot be read ({error.strerror}); nothing was archived") from None


def _json(content: Any) -> bytes:
    return (json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
