"""Every path's spelling, once. `ROOT` is the repository; the others are relative to the folder that is built in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository: configuration, tables, published numbers, evidence. work/ and results/ lie in the current folder."""
WORK, RESULTS = Path("work"), Path("results")
RECORDS = ROOT / "records"
"""Accepted records."""
VIEWS = ROOT / "docs" / "results"
"""Committed views of accepted records, a folder a protocol."""
PAPER = "paper"
"""The protocol whose results have no folder of their own."""


def where(protocol: str) -> str:
    """Return what a protocol's results have before their name: nothing for the paper's, else "<protocol>/"."""
    return "" if protocol == PAPER else f"{protocol}/"


def protocol_of(where: str) -> str:
    """Return the protocol that `where` ("" or "<protocol>/") names."""
    return where.rstrip("/") or PAPER


def results(protocol: str, base: Path = RESULTS) -> Path:
    """Return the folder of a protocol's results."""
    return base / where(protocol)


def shown(path: Path) -> str:
    """Return what a record's path is called in tables: accepted ones as seen from the repository."""
    return str(path.relative_to(RECORDS.parent) if path.is_relative_to(RECORDS) else path)


def found(name: str) -> Path:
    """Return the record of which `shown` gave the name."""
    path = Path(name)
    return RECORDS.parent / path if path.is_relative_to(RECORDS.name) else path


def given(name: str) -> Path:
    """Return a path that the user configured: if there is none such in the current folder, the repository's."""
    path = Path(name).expanduser()
    return path if path.is_absolute() or path.exists() else ROOT / path if (ROOT / path).exists() else path


def record(cell: tuple[str, str, str, str, int]) -> Path:
    """Return a record's path below records/ or work/records/, from the five parts of its cell's key."""
    protocol, dataset, category, method, seed = cell
    return Path(protocol, dataset, category, method, f"seed{seed}.json")
