"""Older forms of a record, brought to today's form when they are read. The files themselves are left as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.errors import EvidenceError
from harness.records.record import SCHEMA

Content = dict[str, Any]


def _seal_and_measuring_key(content: Content) -> Content:
    """Schema 1 held neither; they cannot be made up afterwards, and what is missing is null."""
    return {**content, "measuring_key": None, "seal": None}


MIGRATIONS: Mapping[int, Callable[[Content], Content]] = {1: _seal_and_measuring_key}
"""By the schema they start from; each leads to the next."""


def migrate(content: Content, path: Path) -> Content:
    """Return a record's content in today's schema. Raises EvidenceError for a schema that is not known."""
    version = content.get("schema")
    known = range(min(MIGRATIONS), SCHEMA + 1)
    if not isinstance(version, int) or isinstance(version, bool) or version not in known:
        newer = isinstance(version, int) and version > SCHEMA
        remedy = "update this repository" if newer else "delete it and measure again"
        raise EvidenceError(f"{path}: schema {version!r} is not known ({known[0]} to {SCHEMA} are); {remedy}")
    for step in range(version, SCHEMA):
        content = MIGRATIONS[step](content) | {"schema": step + 1}
    return content
