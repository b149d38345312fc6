"""The layer tables: the printed layers beside those of the modules, differences marked."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.records.plan import Plan
from harness.tables.layer_rows import SIZES, Pair, Row, align
from harness.tables.published import FOLDER
from harness.tables.spec import check_methods

ROWS = Path("work/layers")


def rows_path(protocol: str, method: str) -> Path:
    """Return where `cavga-bench layers` writes the layers of a method's networks under a protocol."""
    return ROWS / protocol / f"{method}.json"


def layer_table(plan: Plan, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a layer table's JSON holds beside its name.

    Raises ConfigError for an unknown method or a missing transcription. Layers that were not read off yet are named
    as such: the printed ones then stand alone.
    """
    check_methods({**spec, "columns": [{"method": spec["method"]}]}, plan.methods)
    path = rows_path(plan.protocol.id, spec["method"])
    ours: list[dict[str, str]] | None = json.loads(path.read_text()) if path.is_file() else None
    printed = _printed(spec["published"])
    pairs = align(printed, ours or [])
    paper = [row["output"] for row in printed if row["network"] == "Decoder"][-1].split("x")[0]
    side = plan.protocol.datasets[spec["dataset"]].size
    where = f"the {plan.protocol.title}, {side} × {side} pixels"
    absent = f"Not read off yet: run `cavga-bench layers {spec['method']} --protocol {plan.protocol.id}`."
    return {
        "caption": f"{' '.join(spec['caption'].split())} Ours: {where}.",
        "notes": [absent] if ours is None else [_summary(pairs), *_scaled(int(paper), side)],
        "rows": [_row(pair, known=ours is not None, scaled=int(paper) != side) for pair in pairs],
    }


def _printed(name: str) -> list[Row]:
    path = FOLDER / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; the printed layers of a table lie in published/")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _scaled(paper: int, side: int) -> list[str]:
    """Say what images of another size than the paper's do to the networks."""
    if side == paper:
        return []
    size = f"the paper's networks are for {paper} × {paper} pixels; for {side} × {side} ours leave out stages"
    return [f"By design: {size}, and the rest is narrower (size: only filters and sizes differ)."]


def _word(pair: Pair, *, known: bool, scaled: bool) -> str:
    """Return "" for equal rows, "size" for what the size of the images explains, else "differs"."""
    if not known or not pair.differences:
        return ""
    return "size" if scaled and set(pair.differences) <= set(SIZES) else "differs"


def _row(pair: Pair, *, known: bool, scaled: bool) -> dict[str, Any]:
    row = pair.printed or pair.ours or {}
    notes = [(pair.printed or {}).get("note", ""), (pair.ours or {}).get("part", "")]
    return {
        "network": row["network"],
        "layer": row["layer"],
        "printed": _side(pair.printed),
        "ours": _side(pair.ours),
        "same": not pair.differences or not known,
        "differences": list(pair.differences) if known else [],
        "word": _word(pair, known=known, scaled=scaled),
        "note": "; ".join(note for note in notes if note),
    }


def _side(row: Row | None) -> dict[str, str] | None:
    if row is None:
        return None
    parts = [row["operation"], row["kernel"].replace("x", "×"), row["filters"], row["stride"], row["pad"]]
    return {"dimensions": ", ".join(part for part in parts if part), "output": row["output"].replace("x", "×")}


def _summary(pairs: Sequence[Pair]) -> str:
    both = [pair for pair in pairs if pair.printed is not None and pair.ours is not None]
    equal = sum(not pair.differences for pair in both)
    printed = sum(pair.printed is not None for pair in pairs)
    more = sum(pair.printed is None for pair in pairs)
    text = f"{equal} of {printed} printed layers are the same in our networks"
    others = len(both) - equal
    text += f", {others} differ{'s' if others == 1 else ''}" if others else ""
    return f"{text}; {more} of ours are not printed." if more else f"{text}."
