"""What a record keeps of a fit's files: the digest of its maps, and its training log, thinned."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

POINTS = 40
"""So many points of a loop are kept: enough for a curve of a hundred pixels."""
NO_LOSS = frozenset({"loop", "step", "of", "images_per_s", "time", "seconds_left", "device"})
"""What a line of a loop says besides its losses."""


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def thinned_losses(log: Path) -> dict[str, dict[str, list[float]]]:
    """Return a fit's log (JSON lines) loop by loop: {"step": […], a loss's name: […]}, `POINTS` points at most."""
    steps = [line for line in finite_lines(log) if "step" in line and "loop" in line]
    lines = sorted(steps, key=lambda line: str(line["loop"]))
    return {str(loop): _columns(_thin(list(group))) for loop, group in groupby(lines, key=lambda line: line["loop"])}


def main_loss(losses: Mapping[str, Mapping[str, list[float]]]) -> dict[str, list[float]] | None:
    """Return step and loss of the longest loop of `thinned_losses`; None when there is none to show.

    The loss is the one called `loss`, or of several optimisers the first one's.
    """
    shown = [
        (loop["step"], next(iter(values)))
        for loop in losses.values()
        if (values := [v for name, v in loop.items() if name == "loss" or name.endswith(".loss")])
        and len(loop["step"]) > 1
    ]
    if not shown:
        return None
    steps, loss = max(shown, key=lambda pair: len(pair[0]))
    return {"step": steps, "loss": loss}


def finite_lines(log: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of a fit's log, in the order written, none if there is no log."""
    if not log.exists():
        return
    for text in log.read_text().splitlines():
        line = json.loads(text)
        # The step at which a loss was not finite stands in the reason of the failure; JSON has no word for it.
        finite = all(math.isfinite(value) for value in line.values() if isinstance(value, float))
        if finite:
            yield line


def _thin(lines: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # A loop that was resumed wrote some steps twice: the later line counts.
    steps = {line["step"]: line for line in lines}
    kept = [steps[step] for step in sorted(steps)]
    if len(kept) <= POINTS:
        return kept
    return [kept[round(i * (len(kept) - 1) / (POINTS - 1))] for i in range(POINTS)]


def _columns(lines: list[Mapping[str, Any]]) -> dict[str, list[float]]:
    names = [name for name in lines[-1] if name not in NO_LOSS]
    rounded = {name: [float(f"{line[name]:.5g}") for line in lines if name in line] for name in names}
    return {"step": [line["step"] for line in lines], **{n: v for n, v in rounded.items() if len(v) == len(lines)}}
