"""The picture in README.md: its line, and its caption with each image's IoU, between two marks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.figures.panels import Line, lines
from harness.figures.spec import load_figure, shown_categories
from harness.records.plan import Plan

BY = "written by python -m harness verdict"
BEGIN = re.compile(rf"<!-- picture: (?P<figure>\S+\.yaml), (?P<protocol>\w+); {BY} -->\n")
END = "<!-- end of the picture -->"
RED = "Red where a method's map is strong, white at the threshold behind its IoU, green around the defect."


def renewed_picture(text: str, readme: Path, plan_of: Callable[[str], Plan]) -> str:
    """Return a README's text with the line and the caption of its picture; as it is where it marks none.

    The mark names the figure's file, as seen from the README, and the protocol. Raises ConfigError for a lost end.
    """
    begin = BEGIN.search(text)
    if begin is None:
        return text
    end = text.find(END, begin.end())
    if end < 0:
        raise ConfigError(f"{readme}: the picture has no end; add a line '{END}' below its caption")
    plan, spec = plan_of(begin["protocol"]), load_figure(str(readme.parent / begin["figure"]))
    found = [line for category in shown_categories(plan, spec) for line in lines(plan, spec, category)]
    picture = begin["figure"].removesuffix(".yaml") + ".png"
    count = f"{len(found)} {'image' if len(found) == 1 else 'images'}"
    alt = f"{spec['label']}: maps of {len(spec['methods'])} methods on {count}, the IoU under each"
    return f"{text[: begin.end()]}![{alt}]({picture})\n\n*{caption(plan, spec, found)}*\n{text[end:]}"


def caption(plan: Plan, spec: Mapping[str, Any], found: Sequence[Line]) -> str:
    """Return what the colours mean, and each method's IoU on the images from the top, the best on average first."""
    by_method = {
        name: [iou for line in found if (iou := line.panels[c + 2].iou) is not None]
        for c, name in enumerate(spec["methods"])
    }
    shown = {name: ious for name, ious in by_method.items() if len(ious) == len(found)}
    if not shown:
        return f"{RED} No accepted record carries pictures of it yet."
    order = sorted(shown, key=lambda name: -sum(shown[name]))
    parts = [f"{plan.methods[name].title} {', '.join(f'{iou:.2f}' for iou in shown[name])}" for name in order]
    where = f"{plan.protocol.title}, seed {plan.protocol.seeds[0]}"
    return f"{RED} IoU from accepted records ({where}), image by image from the top: {'; '.join(parts)}."
