"""What a fit costs, from past records and measured steps; nothing is guessed where neither is comparable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any

from harness.cell import Cell, Settings
from harness.estimate.overview import Fit
from harness.estimate.run_history import RunHistory, tested
from harness.estimate.steps import Steps, group_of
from harness.gpus import in_reach, visible_devices
from harness.records import on_cpu
from harness.records.record import Record
from harness.tables.plans import Plans
from harness.training.schedule import Training

UNKNOWN = "unknown: no record; use --measure"
SOURCES = (
    "records of the same cell",
    "records of other categories",
    "measured steps",
    "records of other sizes, scaled by pixels",
    "known rates (config/rates.yaml)",
)
"""Where an estimate comes from, best first."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of a fit, predictions included, on a device ("cpu" or "cuda"), and which of `SOURCES` they come from."""

    seconds: float
    device: str
    source: str

    @property
    def gpu_seconds(self) -> float:
        """Return the seconds for which a GPU is held."""
        return self.seconds if self.device == "cuda" else 0.0


class Estimator:
    """Estimates fits for the device on which a build would run them."""

    def __init__(self, grid: Plans, history: RunHistory, steps: Steps) -> None:
        self.grid, self.history, self.steps = grid, history, steps

    def device(self, protocol: str) -> str:
        """Return where a protocol's fits run: "cuda" where this machine shows a GPU, or one is needed and in reach."""
        plan = self.grid.plan(protocol)
        needed = plan.protocol.needs_gpu and not plan.config.paper_on_cpu and in_reach(plan.config.device)
        return "cuda" if needed or (plan.config.device != "cpu" and self._gpus) else "cpu"

    @cached_property
    def _gpus(self) -> list[str]:
        return visible_devices()

    def estimate(self, fit: Fit) -> Estimate | None:
        """Return what a fit still costs, or None if nothing is known."""
        cell, device = fit.cell, self.device(fit.cell.protocol)
        if fit.fitted:
            return Estimate(0.0, device, SOURCES[0])
        ranked: dict[int, list[float]] = {}
        for other, record in self.history.records:
            rank = self._rank(cell, other)
            if rank is not None and record.hardware.device == device:
                ranked.setdefault(rank, []).append(self._scaled(cell, other, record))
        counts = self.history.counts(cell)
        measured = self.steps.seconds(self.grid, cell, device, self._trained(cell, counts), counts)
        if measured is not None:
            ranked[2] = [sum(measured)]
        known = self._known(cell, counts) if device == "cpu" else None
        if known is not None:
            ranked[4] = [known]
        if not ranked:
            return None
        best = min(ranked)
        return Estimate(median(ranked[best]), device, SOURCES[best])

    def _known(self, cell: Cell, counts: Mapping[str, int] | None) -> float | None:
        """Return the seconds that known rates give: they are those of the published settings."""
        plan = self.grid.plan(cell.protocol)
        return on_cpu.seconds(cell.method, plan.settings(cell), counts) if plan.protocol.needs_gpu else None

    def why_unknown(self, fit: Fit) -> str:
        """Return why there is no estimate for a fit."""
        cell = fit.cell
        if self.steps.find(self.grid, cell, self.device(cell.protocol)) is None:
            return UNKNOWN
        return "unknown: how many images there are shows when the data are prepared"

    def _rank(self, cell: Cell, other: Cell) -> int | None:
        """Return the place in `SOURCES` of a record of `other` for `cell`; None where it says nothing.

        Another size is comparable only with equal options: the networks are the same, and work grows with the pixels.
        """
        mine, its = self._settings(cell), self._settings(other)
        if mine.detector != its.detector or mine.channels != its.channels:
            return None
        if group_of(self.grid, cell) == group_of(self.grid, other):
            return 0 if (cell.source, cell.category) == (other.source, other.category) else 1
        if mine.options != its.options:
            return None
        return 1 if cell.protocol == other.protocol and mine.size == its.size else 3

    def _settings(self, cell: Cell) -> Settings:
        return self.grid.plan(cell.protocol).settings(cell)

    def _scaled(self, cell: Cell, other: Cell, record: Record) -> float:
        """Return a record's seconds at the cell's images, training images seen and pixels."""
        mine, its = self._settings(cell), self._settings(other)
        pixels = (mine.size / its.size) ** 2
        known = self.history.counts(cell)
        trained = self._trained(cell, known) or record.counts.train
        training = {key: value for key, value in record.training.items() if key != "micro_batches"}
        seen = images_seen(mine.training, trained) / images_seen(training, record.counts.train)
        tests = tested(known) / record.counts.tested if known else 1.0
        return (record.fit.seconds * seen + record.export.seconds * tests) * pixels

    def _trained(self, cell: Cell, counts: Mapping[str, int] | None) -> int | None:
        """Return how many images a cell's fit learns from."""
        if counts is None:
            return None
        held_out = self.grid.plan(cell.protocol).protocol.validation_share if self._settings(cell).validation else 0
        return max(1, round(counts["train"] * (1 - held_out)))


def images_seen(training: Mapping[str, Any], images: int) -> int:
    """Return how many training images a fit sees in all, repetitions included."""
    settings = Training.from_config(dict(training))
    return settings.total_steps(images) * settings.batch_size
