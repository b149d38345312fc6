"""The layer tables: the published layers beside those of the modules, differences marked."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.tables.layer_rows import SIZES, Pair, Row, align
from harness.tables.published import FOLDER
from harness.tables.spec import LayerSpec, check_methods
from harness.tables.table import Layer, LayerRow, LayerTable, ProtocolAbout

ROWS = Path("work/layers")


def rows_path(protocol: str, method: str) -> Path:
    """Return where `cavga-bench layers` writes the layers of a method's networks under a protocol."""
    return ROWS / protocol / f"{method}.json"


def layer_table(plan: Plan, spec: LayerSpec, about: ProtocolAbout) -> LayerTable:
    """Return a layer table.

    Raises ConfigError for an unknown method or a missing transcription. Layers that were not read off yet are named
    as such: the published ones then stand alone.
    """
    check_methods(spec, plan.methods)
    path = rows_path(plan.protocol.id, spec.method)
    reproduced: list[dict[str, str]] | None = json.loads(path.read_text()) if path.is_file() else None
    published = published_layers(spec.published)
    pairs = align(published, reproduced or [])
    paper = int([row["output"] for row in published if row["network"] == "Decoder"][-1].split("x")[0])
    side = plan.protocol.datasets[spec.dataset].size
    absent = f"Not read off yet: run `cavga-bench layers {spec.method} --protocol {plan.protocol.id}`."
    return LayerTable(
        id=spec.id,
        label=spec.label,
        paper=spec.paper,
        title=spec.title,
        protocol=about,
        caption=f"{' '.join(spec.caption.split())} Reproduced: the {about.title}, {side} × {side} pixels.",
        notes=(absent,) if reproduced is None else (_summary(pairs), *_scaled(paper, side)),
        layers=tuple(_row(pair, known=reproduced is not None, scaled=paper != side) for pair in pairs),
    )


def published_layers(name: str) -> list[Row]:
    """Return the printed layers of a file in published/. Raises ConfigError when it is missing."""
    path = FOLDER / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; the published layers of a table lie in published/")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _scaled(paper: int, side: int) -> list[str]:
    """Say what images of another size than the paper's do to the networks."""
    if side == paper:
        return []
    size = f"the published networks are for {paper} × {paper} pixels; for {side} × {side} ours leave out stages"
    return [f"By design: {size}, and the rest is narrower (size: only filters and sizes differ)."]


def _word(pair: Pair, *, known: bool, scaled: bool) -> str:
    """Return "" for equal rows, "size" for what the size of the images explains, else "differs"."""
    if not known or not pair.differences:
        return ""
    return "size" if scaled and set(pair.differences) <= set(SIZES) else "differs"


def _row(pair: Pair, *, known: bool, scaled: bool) -> LayerRow:
    row = pair.published or pair.reproduced or {}
    notes = [(pair.published or {}).get("note", ""), (pair.reproduced or {}).get("part", "")]
    return LayerRow(
        network=row["network"],
        layer=row["layer"],
        published=_side(pair.published),
        reproduced=_side(pair.reproduced),
        differences=pair.differences if known else (),
        word=_word(pair, known=known, scaled=scaled),
        note="; ".join(note for note in notes if note),
    )


def _side(row: Row | None) -> Layer | None:
    if row is None:
        return None
    parts = [row["operation"], row["kernel"].replace("x", "×"), row["filters"], row["stride"], row["pad"]]
    return Layer(", ".join(part for part in parts if part), row["output"].replace("x", "×"))


def _summary(pairs: Sequence[Pair]) -> str:
    both = [pair for pair in pairs if pair.published is not None and pair.reproduced is not None]
    equal = sum(not pair.differences for pair in both)
    published = sum(pair.published is not None for pair in pairs)
    more = sum(pair.published is None for pair in pairs)
    text = f"{equal} of {published} published layers are the same in our networks"
    others = len(both) - equal
    text += f", {others} differ{'s' if others == 1 else ''}" if others else ""
    return f"{text}; {more} reproduced layers are not published." if more else f"{text}."
