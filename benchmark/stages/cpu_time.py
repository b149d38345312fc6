"""How long a fit would take on this CPU, measured on its first steps: what a refusal to start it says."""

from __future__ import annotations

import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from benchmark.plan.plan import Cell, Plan
from benchmark.schedule import Training
from benchmark.stages.fit import fit
from benchmark.stages.marker import read_marker, write_marker

STEPS = (1, 3)
"""Steps of the two short fits: their difference is free of what a fit costs before its first step."""


def estimate(plan: Plan, cell: Cell) -> str:
    """Return what a fit of the cell would take on this CPU, and from what that is known, in a few words.

    The first call for a method costs a few steps; what they took is kept in work/estimates.
    """
    settings = asdict(plan.settings(cell))
    images = int((read_marker(plan.data_folder(cell) / "manifest.json") or {})["counts"]["train"])
    total = Training.from_config(settings["training"]).total_steps(images)
    path = plan.work / "estimates" / cell.protocol / f"{cell.method}.{settings['size']}px.json"
    known = read_marker(path)
    if known is None:
        known = _measure(settings, plan, cell)
        write_marker(path, known)
    if known["reason"]:
        return f"an unknown time: {known['reason']}"
    seconds = known["start"] + total * known["step"]
    return f"about {duration(seconds)} for this fit alone ({total} steps of {known['step']:.2g} s, measured here)"


def _measure(settings: dict[str, Any], plan: Plan, cell: Cell) -> dict[str, Any]:
    batch = Training.from_config(settings["training"]).batch_size
    seconds = []
    for steps in STEPS:
        short = settings | {"training": settings["training"] | {"images_seen": steps * batch}}
        with tempfile.TemporaryDirectory() as folder:
            done = fit(
                short, plan.data_folder(cell), Path(folder), seed=cell.seed, names=(cell.source, cell.category),
                device=torch.device("cpu"), precision="float32", checkpoint_seconds=math.inf,
            )  # fmt: skip
        if done["status"] != "measured":
            return {"reason": done["reason"], "start": 0.0, "step": 0.0}
        seconds.append(done["seconds"])
    step = max(0.0, (seconds[1] - seconds[0]) / (STEPS[1] - STEPS[0]))
    return {"reason": None, "start": max(0.0, seconds[0] - STEPS[0] * step), "step": step}


def duration(seconds: float) -> str:
    """Return seconds as a person says them: the largest fitting unit, two digits."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(1.0, seconds):.0f} seconds"
