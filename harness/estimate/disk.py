"""How much disk a build takes: prepared arrays, weights and maps, from numbers of images and sizes that are known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from harness.estimate.estimate import Estimator
from harness.estimate.overview import Fit
from harness.estimate.run_history import tested
from harness.estimate.steps import group_of

BYTES_PER_CODE = 2  # maps are 16-bit codes


@dataclass
class Need:
    """Bytes that one kind of file will take, and for how many of `of` files that is not known."""

    what: str
    bytes: int = 0
    unknown: int = 0
    of: int = 0

    def add(self, size: int | None) -> None:
        """Count one more file of `size` bytes, None where that is not known."""
        self.of += 1
        self.unknown += size is None
        self.bytes += size or 0


def needs(fits: Iterable[Fit], estimator: Estimator) -> list[Need]:
    """Return what the fits will write that is not there yet."""
    fits = list(fits)
    return [_prepared(fits, estimator), _weights(fits, estimator), _maps(fits, estimator)]


def _prepared(fits: list[Fit], estimator: Estimator) -> Need:
    """Add up train, test and mask arrays: at each fit's input size, and at the size that its maps are measured at."""
    need, seen = Need("prepared arrays"), set()
    for cell in (fit.cell for fit in fits):
        plan = estimator.grid.plan(cell.protocol)
        prepared, counts = plan.protocol.datasets[cell.dataset], estimator.history.counts(cell)
        for size in (plan.settings(cell).size, prepared.size):
            folder = plan.data_folder(cell, size)
            if folder in seen or (folder / "manifest.json").exists():
                continue
            seen.add(folder)
            if counts is None:
                need.add(None)
                continue
            tests, masks = tested(counts), plan.datasets[cell.source].masks is not False
            need.add(size**2 * ((counts["train"] + tests) * prepared.channels + (tests if masks else 0)))
    return need


def _weights(fits: list[Fit], estimator: Estimator) -> Need:
    """Take the weights of a finished fit of the same group, or their size when steps were measured."""
    need, known = Need("weights"), _finished(fits, estimator)
    for fit in fits:
        if not fit.fitted:
            device = estimator.device(fit.cell.protocol)
            step = estimator.steps.find(estimator.grid, fit.cell, device)
            size = known.get(group_of(estimator.grid, fit.cell))
            need.add(size if size is not None else step.weights if step else None)
    return need


def _finished(fits: list[Fit], estimator: Estimator) -> dict[str, int]:
    """Return the size of the weights of finished fits by group."""
    grid, found = estimator.grid, {}
    for protocol in dict.fromkeys(fit.cell.protocol for fit in fits):
        plan = grid.plan(protocol)
        for cell in dict.fromkeys(cell for table in grid.all_tables for cell in grid.cells(protocol, table)):
            path = plan.fit_folder(cell) / "weights.safetensors"
            if path.exists():
                found[group_of(grid, cell)] = path.stat().st_size
    return found


def _maps(fits: list[Fit], estimator: Estimator) -> Need:
    """Add up one code a pixel of every test and held-out image, for each map; image scores are too small to count."""
    need = Need("anomaly maps")
    for fit in fits:
        cell = fit.cell
        plan = estimator.grid.plan(cell.protocol)
        if fit.fitted or "maps" not in plan.methods[cell.method].gives:
            continue
        counts = estimator.history.counts(cell)
        if counts is None:
            need.add(None)
            continue
        held_out = plan.protocol.validation_share if plan.settings(cell).validation else 0
        images = tested(counts) + round(counts["train"] * held_out)
        maps = 1 + len(plan.settings(cell).options.get("maps") or {})  # a fit's further maps, by name
        need.add(maps * images * plan.protocol.datasets[cell.dataset].size ** 2 * BYTES_PER_CODE)
    return need
