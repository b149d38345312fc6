"""Example images of a run as small WebP data URIs, within a budget for the whole page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.cell import Cell
from harness.data.prepared import Prepared
from harness.errors import UserError
from harness.figures.panels import Shown
from harness.records import overlay
from harness.records.choose import choose
from harness.records.plan import Plan
from harness.records.record import ImageRow, Overlay
from harness.records.status import Status

SIDE, GAP, SMALL = 112, 2, 56
COUNT = 3
BUDGET = 500_000
"""Characters of all example images of a page."""


@dataclass
class Examples:
    """Makes the example images of runs until the budget is spent; then it says so."""

    plan: Plan
    left: int = BUDGET
    most: int = COUNT + 1
    _prepared: dict[Path, Prepared | None] = field(default_factory=dict)

    def of_all(self, cells: Sequence[tuple[Cell, Status]]) -> list[dict[str, Any]]:
        """Return what each run shows, in the order of `cells`; where pictures are cut, the first seeds keep theirs."""
        self.share(status for _, status in cells)
        found: dict[int, dict[str, Any]] = {}
        for place in sorted(range(len(cells)), key=lambda place: cells[place][0].seed):
            found[place] = self.of(*cells[place])
        return [found[place] for place in range(len(cells))]

    def of(self, cell: Cell, evidence: Status) -> dict[str, Any]:
        """Return {"examples": [{"text", "src"}, …]}, or {"no_examples": the reason}."""
        record = evidence.record
        if record is not None and record.overlays:
            return self._carried(record.overlays)
        shown = Shown(self.plan, cell, evidence)
        truth = self._open(self.plan.truth_folder(cell))
        if record is None or not record.images:
            return {}
        if truth is None:
            return {"no_examples": "the prepared images are not here; build the cell again to see them"}
        if truth.manifest.digest != record.data_digest:
            return {"no_examples": "the prepared images are not those that the record was measured on"}
        if self.left <= 0:
            return {"no_examples": "left out, to keep this page small"}
        known = {str(name): position for position, name in enumerate(truth.test_images["id"])}
        rows = [row for row in record.images if row.id in known]
        if shown.missing or all(row.iou is None for row in rows):
            return {"examples": self._by_score(truth, rows, known)}
        chosen = choose(rows, COUNT)
        return {"examples": [self._strip(shown, truth, name, known[name]) for name in chosen]}

    def share(self, evidence: Iterable[Status]) -> None:
        """Divide the budget: how many of its pictures each record shows, one at least."""
        wanted = sum(len(one.picture) for s in evidence if s.record is not None for one in s.record.overlays)
        self.most = max(1, min(self.most, int(self.most * self.left / wanted))) if wanted else self.most

    def _carried(self, pictures: Sequence[Overlay]) -> dict[str, Any]:
        """Return the pictures that a record carries."""
        every = -(-len(pictures) // self.most)
        shown = pictures[every // 2 :: every]
        if self.left < sum(len(one.picture) for one in shown):
            return {"no_examples": "left out, to keep this page small"}
        self.left -= sum(len(one.picture) for one in shown)
        return {"examples": [{"text": f"{p.image}, IoU {p.iou or 0:.3f}", "src": p.picture} for p in shown]}

    def _strip(self, shown: Shown, truth: Prepared, name: str, position: int) -> dict[str, Any]:
        """Return input, ground truth and map side by side."""
        place = int(np.flatnonzero(shown.reader.test_index == position)[0])
        image, codes = truth.test[position], shown.reader.maps([place])[0]
        masks = truth.masks
        parts = [overlay.colour(image, SIDE)]
        parts += [] if masks is None else [overlay.mask(masks[position], SIDE)]
        parts.append(overlay.overlay(image, codes, shown.scale, shown.threshold, SIDE))
        return {"text": f"{name}, IoU {shown.iou(name) or 0:.3f}", "src": self._encode(parts)}

    def _by_score(self, truth: Prepared, rows: Sequence[ImageRow], known: dict[str, int]) -> list[dict[str, Any]]:
        """Return the images on the wrong end of the scores: what the method gets most wrong."""
        found = []
        for anomalous, text in ((True, "anomalous, lowest scores"), (False, "normal, highest scores")):
            mine = [row for row in rows if row.anomalous == anomalous and row.id in known]
            order = sorted(mine, key=lambda row: (row.score if anomalous else -row.score, row.id))[:6]
            parts = [overlay.colour(truth.test[known[row.id]], SMALL) for row in order]
            if parts:
                found.append({"text": f"{text}: {', '.join(row.id for row in order)}", "src": self._encode(parts)})
        return found

    def _encode(self, parts: Sequence[np.ndarray]) -> str:
        height = parts[0].shape[0]
        grey = np.full((height, GAP, 3), 128, np.uint8)
        spaced = [piece for part in parts for piece in (part, grey)][:-1]
        return self.encode(Image.fromarray(np.concatenate(spaced, axis=1)))

    def encode(self, image: Image.Image, quality: int = 70) -> str:
        """Return an image as a data URI and take it off the budget."""
        file = io.BytesIO()
        image.convert("RGB").save(file, "WEBP", quality=quality, method=4)
        text = f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode()}"
        self.left -= len(text)
        return text

    def _open(self, folder: Path) -> Prepared | None:
        if folder not in self._prepared:
            try:
                self._prepared[folder] = Prepared.open(folder)
            except UserError:
                self._prepared[folder] = None
        return self._prepared[folder]
