"""Every path's spelling, once. `ROOT` is the repository; the others are relative to the folder that is built in."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The repository: configuration, tables, published numbers. work/ and results/ lie in the current folder."""
WORK, RECORDS, RESULTS = Path("work"), Path("records"), Path("results")
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


def record(cell: tuple[str, str, str, str, int]) -> Path:
    """Return a record's path below records/ or work/records/, from the five parts of its cell's key."""
    protocol, dataset, category, method, seed = cell
    return Path(protocol, dataset, category, method, f"seed{seed}.json")
