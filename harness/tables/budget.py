"""What is said of a protocol that trains less than the paper does: the same in tables, figures, plots and the audit."""

from __future__ import annotations

from harness.cell import Protocol
from harness.paths import PAPER
from harness.tables.table import ProtocolAbout

CAVEAT = (
    "Trained on far fewer images than under the paper's protocol: this shows what the pipeline measures at that "
    "budget, not how good a method is."
)
LIMITING = frozenset({"images_seen", "epochs", "samples_per_epoch"})
"""Keys of a protocol's `limits` that cut the training; the others only change how it runs."""


def reduced(protocol: Protocol) -> bool:
    """Return whether a protocol cuts the training of every method short."""
    return not LIMITING.isdisjoint(protocol.limits)


def caveat(*, reduced: bool) -> str:
    """Return the sentence that captions end with, a blank before it; empty under a full budget."""
    return f" {CAVEAT}" if reduced else ""


def why_not_judged(about: ProtocolAbout) -> str | None:
    """Return why numbers cannot judge the paper's claims, from a table's `protocol`; None for the paper's own."""
    if about.id == PAPER:
        return None
    what = "a small part of the paper's training" if about.reduced else "not the paper's protocol"
    return f"{about.title}, {what}"
