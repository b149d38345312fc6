"""The answers of `cavga-bench plan`: rows per method, reasons, disk, and what they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from harness.cell import Cell
from harness.estimate.estimate import Estimate, Estimator
from harness.estimate.overview import Fit, Overview


@dataclass
class Line:
    """One method of one protocol: cells by state, budgets, fits to run, and the seconds known of them."""

    protocol: str
    method: str
    states: Counter[str] = field(default_factory=Counter)
    fits: int = 0
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    unknown: int = 0
    sources: set[str] = field(default_factory=set)
    budgets: dict[str, None] = field(default_factory=dict)

    @property
    def known(self) -> bool:
        """Whether the cost of anything that is to run is known."""
        return self.fits > self.unknown

    def add(self, fit: Fit, estimate: Estimate | None, why_unknown: str) -> None:
        """Count one fit that cells wait for, unless it is there already."""
        if fit.fitted:
            return
        self.fits += 1
        if estimate is None:
            self.unknown += 1
            self.sources.add(why_unknown)
        else:
            self.seconds += estimate.seconds
            self.gpu_seconds += estimate.gpu_seconds
            self.sources.add(f"{estimate.source} ({'GPU' if estimate.device == 'cuda' else 'CPU'})")


class Summary:
    """What an overview and its estimates say, ready to be printed."""

    def __init__(self, overview: Overview, estimator: Estimator) -> None:
        self.overview, self.estimator, self.grid = overview, estimator, overview.grid

    @cached_property
    def estimates(self) -> dict[str, Estimate | None]:
        """Return the estimate of every fit to run by its key."""
        return {fit.key: self.estimator.estimate(fit) for fit in self.overview.fits}

    @cached_property
    def lines(self) -> list[Line]:
        """Return one line a method in the order of the targets. A shared fit counts for the first method only."""
        found: dict[tuple[str, str], Line] = {}
        for status in self.overview.statuses:
            place = (status.cell.protocol, status.cell.method)
            line = found.setdefault(place, Line(*place))
            line.states[status.state] += 1
            line.budgets |= dict.fromkeys(self._budget(status.cell))
        for fit in self.overview.fits:
            why = self.estimator.why_unknown(fit)
            found[fit.cell.protocol, fit.cell.method].add(fit, self.estimates[fit.key], why)
        return list(found.values())

    def _budget(self, cell: Cell) -> Iterator[str]:
        """Yield how long a cell's method trains; nothing where it does not."""
        training = self.grid.plan(cell.protocol).settings(cell).training
        if training.get("images_seen"):
            yield f"{training['images_seen']:,} images"
        elif training.get("epochs"):
            yield f"{training['epochs']} epochs"

    def reasons(self) -> Iterator[str]:
        """Yield one line for each reason why cells have no number that counts: who it is about, and the remedy."""
        about: dict[tuple[str, str], list[str]] = {}
        for status in self.overview.statuses:
            if status.reason is not None:
                about.setdefault((status.state, status.reason), []).append(
                    f"{status.cell.source} {status.cell.category}"
                )
        for (state, reason), places in about.items():
            where = _listed(list(dict.fromkeys(places)))
            yield f"{state.replace('_', ' ')}: {reason.removeprefix('unavailable: ')} ({len(places)} cells: {where})"

    def licences(self) -> Iterator[str]:
        """Yield what the licences of the datasets in question ask for."""
        used = [self.grid.plan(s.cell.protocol).dataset(s.cell) for s in self.overview.statuses]
        for source, dataset in {dataset.source: dataset for dataset in used}.items():
            licence = dataset.licence
            if licence is not None and not dataset.embedded:
                only = ", for non-commercial use only" if licence.non_commercial else ""
                yield f"licence of {source}: {licence.name}{only} ({licence.url})"


def _listed(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
