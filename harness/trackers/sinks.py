"""Where runs can be told: which trackers there are, and telling each run once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from harness import paths
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.trackers.run import Run

TRACKERS = ("tensorboard", "mlflow")
"""Each is also the package that it needs, and the extra that installs it."""
NEW, RENEWED, THERE = "new", "renewed", "there already"


class Sink(Protocol):
    """A tracker's store."""

    def told(self, run: Run) -> str | None:
        """Return the digest of what the tracker was told of this record; None for nothing, or if it was cut off."""

    def tell(self, run: Run) -> None:
        """Write a run in place of what was told of its record earlier."""


def open_sink(tracker: str, address: str) -> Sink:
    """Return a tracker's store. Raises UserError where its package is not installed or the address is no place."""
    found = find_spec(tracker)
    if found is None or found.origin is None:  # a folder of that name in the current one is no package
        raise UserError(f"--to {tracker}: {tracker} is not installed; pip install -e '{paths.ROOT}[{tracker}]'")
    if tracker == TRACKERS[0]:
        from harness.trackers.to_tensorboard import TensorBoard

        return TensorBoard(address)
    from harness.trackers.to_mlflow import MLflow

    return MLflow(address)


def track(runs: Iterable[Run], sink: Sink) -> Counter[str]:
    """Tell each run, unless that is what was told already; return how many became what."""
    outcomes: Counter[str] = Counter()
    for run in runs:
        before = sink.told(run)
        outcome = NEW if before is None else THERE if before == run.digest else RENEWED
        if outcome != THERE:
            sink.tell(run)
        outcomes[outcome] += 1
    return outcomes
