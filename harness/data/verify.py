"""Checking files against the digests of config/datasets.yaml; what cannot be checked is said, never assumed."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path
from typing import Any

from harness.data.files import file_digest
from harness.dataset import Dataset, Mirror
from harness.errors import DataError

VERIFIED, UNVERIFIED, COPY, OTHER = "verified", "unverified", "known copy", "not the official file"


def matches(path: Path, digest: str, content: bool = False) -> bool:
    """Tell whether a file (or what a .gz file holds) has the digest "sha256:…", "md5:…" or "sha256-prefix:…"."""
    kind, _, wanted = digest.partition(":")
    algorithm = "md5" if kind == "md5" else "sha256"
    found = _content_digest(path, algorithm) if content else file_digest(path, algorithm)
    return found.startswith(wanted) if kind == "sha256-prefix" else found == wanted


def is_intact(path: Path, mirror: Mirror) -> bool:
    """Tell whether a downloaded file is the one that its mirror promised, as far as that is known."""
    return mirror.digest == "unverified" or matches(path, mirror.digest)


def _content_digest(path: Path, algorithm: str) -> str:
    try:
        with gzip.open(path) as file:
            return hashlib.file_digest(file, algorithm).hexdigest()
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: truncated or damaged ({error}); delete it and fetch it again") from error


def mirror_of(dataset: Dataset, name: str) -> Mirror | None:
    """Return the entry's description of the file `name`, plain or gzipped."""
    return next((m for m in dataset.mirrors if name in (m.file, m.file.removesuffix(".gz"))), None)


def examine(dataset: Dataset, path: Path) -> tuple[dict[str, Any], str | None]:
    """Return what a file is (name, sha256, bytes, status), and the note that records on it must carry, if any."""
    source = {"name": path.name, "sha256": file_digest(path), "bytes": path.stat().st_size}
    mirror = mirror_of(dataset, path.name)
    if mirror is None or mirror.digest == "unverified":
        return {**source, "status": UNVERIFIED}, None
    if _is_official(path, mirror):
        return {**source, "status": VERIFIED}, None
    for copy in mirror.copies:
        if matches(path, copy.digest):
            return {**source, "status": COPY}, copy.note
    return {**source, "status": OTHER}, f"{path.name} is not the official file"


def _is_official(path: Path, mirror: Mirror) -> bool:
    """Compare the file; an unpacked or repacked one by its content."""
    if path.name == mirror.file and matches(path, mirror.digest):
        return True
    return mirror.content is not None and matches(path, mirror.content, content=path.suffix == ".gz")
