"""What tables ask of a plan. Written down so that tables can be built and tested from any source of evidence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from harness.records.status import Evidence


class Plan(Protocol):
    """The part of `harness.records.plan.Plan` that tables read."""

    @property
    def protocol(self) -> Mapping[str, Any]:
        """The protocol's content: id, title, seeds, datasets, …."""

    @property
    def methods(self) -> Mapping[str, Mapping[str, Any]]:
        """Entries of config/methods.yaml by method id."""

    @property
    def datasets(self) -> Mapping[str, Mapping[str, Any]]:
        """Entries of config/datasets.yaml by data set id."""

    def categories(self, dataset: str) -> Mapping[str, Mapping[str, Any]]:
        """Return the categories of a data set (of its stand-in, if it has one), each with title and kind."""

    def stand_in(self, dataset: str) -> str:
        """Return the id of the data set that is really used."""

    def evidence(self, dataset: str, category: str, method: str, seed: int) -> Evidence:
        """Return what is known of one cell."""
