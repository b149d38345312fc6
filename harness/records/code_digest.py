"""Digests of import closures, remembered between commands: hashing a hundred modules is quicker than parsing them.

What is remembered counts only while every module of the repository has the very text that it had then.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records import fingerprint

MEMORY = Path("work", "closures.json")


@cache
def closure_digest(roots: tuple[str, ...]) -> str:
    """Return `fingerprint.closure_digest(roots)`."""
    known = _known(MEMORY.absolute())
    name = " ".join(roots)
    if name not in known:
        known[name] = _parsed(roots)
        _write(known)
    return known[name]


def _parsed(roots: tuple[str, ...]) -> str:
    try:
        return fingerprint.closure_digest(roots)
    except SyntaxError as error:
        path = Path(error.filename or "?")
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        raise ConfigError(f"{shown}:{error.lineno}: {error.msg}; correct this line of Python") from None


@cache
def _known(path: Path) -> dict[str, str]:
    """Return the digests by roots that an earlier command left; none if a source or the file itself was altered."""
    try:
        content = json.loads(path.read_text())
        digests: dict[str, str] = content["digests"]
        sound = content["sources"] == sources_digest() and content["seal"] == fingerprint.digest(digests)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return digests if sound else {}


def _write(digests: dict[str, str]) -> None:
    content = {"sources": sources_digest(), "digests": digests, "seal": fingerprint.digest(digests)}
    temporary = MEMORY.with_name(f".{MEMORY.name}.{os.getpid()}.tmp")
    with suppress(OSError):  # no work folder yet, or one that cannot be written: the next command parses again
        temporary.write_text(json.dumps(content, indent=1))
        temporary.replace(MEMORY)


@cache
def sources_digest(base: Path = ROOT) -> str:
    """Return the hash of names and texts of all modules that an import in the repository could mean."""
    found = hashlib.sha256()
    for path in sorted(_modules(base)):
        text = path.read_bytes()
        found.update(f"{path.relative_to(base)}\0{len(text)}\0".encode() + text)
    return found.hexdigest()


def _modules(base: Path) -> Iterator[Path]:
    yield from base.glob("*.py")
    for folder in base.iterdir():
        if folder.is_dir() and not folder.name.startswith(".") and any(folder.glob("*.py")):
            yield from folder.rglob("*.py")
