"""From records, maps and prepared data to the panels of a figure. What cannot be shown says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from harness.cell import Cell, Method
from harness.data.prepared import Prepared
from harness.errors import UserError
from harness.records import overlay
from harness.records.choose import choose
from harness.records.overlays import decoded
from harness.records.plan import Plan
from harness.records.record import Overlay
from harness.records.status import Status, shown_by_record, status
from harness.training.maps import MapsReader

SIDE = 192


@dataclass(frozen=True)
class Panel:
    """One picture, uint8 (SIDE,SIDE,3), or the reason why there is none."""

    image: np.ndarray | None
    reason: str | None = None
    iou: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of a figure: an image, its ground truth, and the map of each method."""

    category: str
    image_id: str | None
    chosen_by: str | None
    panels: list[Panel]


@dataclass
class Shown:
    """One method's maps of one category, opened when they are first shown."""

    plan: Plan
    cell: Cell
    evidence: Status
    method: Method = field(init=False)

    def __post_init__(self) -> None:
        self.method = self.plan.methods[self.cell.method]

    @cached_property
    def reader(self) -> MapsReader:
        """The exported maps."""
        return MapsReader(self.plan.maps(self.cell), self.method.map)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The codes where the red begins and where it is strongest."""
        return overlay.strength_range(self.reader)

    @cached_property
    def threshold(self) -> int | None:
        """The code of the threshold behind the method's IoU."""
        policy = self.method.threshold
        found = self.evidence.record.measure("iou", policy) if self.evidence.record else None
        return None if found is None or found.threshold is None else self.reader.code(found.threshold)

    @cached_property
    def missing(self) -> str | None:
        """Why there are no maps to show; None when there are."""
        if "maps" not in self.method.gives:
            return "gives no maps"
        if not self.evidence.believed:
            reason = (self.evidence.reason or "").removeprefix(f"{self.evidence.state}: ")
            return f"{self.evidence.state.replace('_', ' ')}: {reason}".removesuffix(": ")
        if not self.plan.maps(self.cell).is_file():
            return "its record is accepted, but its maps are not here"
        return None if self.reader.has_maps else "gave no maps"

    def iou(self, image_id: str) -> float | None:
        """Return the IoU of an image as the record has it."""
        rows = self.evidence.record.images if self.evidence.record else ()
        return next((row.iou for row in rows if row.id == image_id), None)

    @cached_property
    def pictures(self) -> Mapping[str, Overlay]:
        """The small pictures that its record carries, by image; none where the record is not believed."""
        record = self.evidence.record if self.evidence.believed else None
        return {} if record is None else {picture.image: picture for picture in record.overlays}

    def carried(self, image_id: str | None) -> Panel | None:
        """Return the picture that the record carries of an image."""
        found = None if image_id is None else self.pictures.get(image_id)
        return None if found is None else Panel(decoded(found.picture, SIDE), None, found.iou)

    def panel(self, prepared: Prepared, position: int, image_id: str) -> Panel:
        """Return the map of the test image at `position` over the image."""
        if self.missing:
            return self.carried(image_id) or Panel(None, self.missing)
        place = np.flatnonzero(self.reader.test_index == position)
        if len(place) == 0:
            return Panel(None, "this image was in its training set")
        codes = self.reader.maps([int(place[0])])[0]
        shown = overlay.overlay(prepared.test[position], codes, self.scale, self.threshold, SIDE)
        return Panel(shown, None, self.iou(image_id))


def lines(plan: Plan, spec: Mapping[str, Any], category: str) -> list[Line]:
    """Return the lines of one category; a single empty one when neither its data nor pictures of them are here.

    Where the maps of a method are not here and its record carries pictures, these choose the images for all methods.
    """
    seed = plan.protocol.seeds[0]
    cells = [plan.cell(spec["dataset"], category, method, seed) for method in spec["methods"]]
    shown = [Shown(plan, cell, status(plan, cell)) for cell in cells]
    title = plan.categories(spec["dataset"])[category].title
    try:
        prepared = Prepared.open(plan.truth_folder(cells[0]))
    except UserError as error:
        reason = plan.unavailable(cells[0]) or str(error).rpartition(": ")[2]
        names: list[str | None] = [*_carried(shown, spec["images"])] or [None]
        return [_without_data(title, name, shown, reason) for name in names]
    if any(shown_by_record(plan, one.cell, one.evidence) for one in shown):
        chosen, chooser = _carried(shown, spec["images"]), None
    else:
        chooser, chosen = _chosen(shown, spec, _trained_on(prepared, seed))
    if not chosen:
        empty = [Panel(None, "no record to choose an image by")] * 2
        return [Line(title, None, None, [*empty, *(Panel(None, one.missing or "no image chosen") for one in shown)])]
    return [_line(title, name, chooser, prepared, shown) for name in chosen]


def _carried(shown: Sequence[Shown], count: int) -> list[str]:
    """Return the ids of `count` of the images of which records carry pictures."""
    names = list(dict.fromkeys(name for one in shown for name in one.pictures))
    return names[len(names) // (2 * count) :: max(1, len(names) // count)][:count]


def _without_data(title: str, name: str | None, shown: Sequence[Shown], reason: str) -> Line:
    """Return a line of a category whose data are not here: the pictures that its records carry, if any do."""
    panels = [one.carried(name) or Panel(None, one.missing or reason) for one in shown]
    return Line(title, name, None, [Panel(None, reason), Panel(None, reason), *panels])


def _line(title: str, image_id: str, chooser: str | None, prepared: Prepared, shown: list[Shown]) -> Line:
    position = int(np.flatnonzero((prepared.test_images["id"] == image_id).to_numpy())[0])
    truth = prepared.masks
    ground = Panel(None, "no masks") if truth is None else Panel(overlay.mask(truth[position], SIDE))
    picture = Panel(overlay.colour(prepared.test[position], SIDE))
    panels = [picture, ground, *(one.panel(prepared, position, image_id) for one in shown)]
    return Line(title, image_id, chooser, panels)


def _trained_on(prepared: Prepared, seed: int) -> frozenset[str]:
    """Return the ids of the anomalous images that weakly supervised methods are trained on."""
    ids = prepared.test_images["id"]
    return frozenset(str(ids[index]) for index in prepared.manifest.weak_left_out.get(str(seed), []))


def _chosen(shown: list[Shown], spec: Mapping[str, Any], excluded: frozenset[str]) -> tuple[str, list[str]]:
    """Return the method that chose, and the images' ids; another method chooses where the first has no record."""
    order = sorted(shown, key=lambda one: one.cell.method != spec["choose_by"])
    for one in order:
        rows = one.evidence.record.images if one.evidence.believed and one.evidence.record else ()
        chosen = choose(rows, spec["images"], excluded)
        if chosen:
            return one.cell.method, chosen
    return spec["choose_by"], []
