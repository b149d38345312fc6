"""README's picture: drawn again from the accepted records it is the same, and its caption has their numbers."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from harness import paths
from harness.audit.picture_readme import BEGIN, END, renewed_picture
from harness.audit.verdict_page import accepted_plan
from harness.errors import ConfigError
from harness.figures.draw import build
from harness.figures.spec import load_figure
from harness.paths import ROOT
from harness.records.reading import read_checked

README = ROOT / "README.md"
MARK = BEGIN.search(README.read_text())


@pytest.fixture
def _accepted(monkeypatch):
    monkeypatch.setattr(paths, "RECORDS", ROOT / "records")


@pytest.mark.usefixtures("_accepted")
def test_it_is_what_the_accepted_records_give(tmp_path):
    plan, spec = accepted_plan(MARK["protocol"]), load_figure(str(ROOT / MARK["figure"]))
    content = build(plan, spec, tmp_path)
    assert len(content["images"]) == spec["images"]
    drawn, committed = (
        np.asarray(Image.open(path).convert("RGB"), float)
        for path in (tmp_path / f"{spec['id']}.png", (ROOT / MARK["figure"]).with_suffix(".png"))
    )
    assert drawn.shape == committed.shape, f"renew it as {MARK['figure']} says"
    assert np.abs(drawn - committed).mean() < 0.5, f"renew it as {MARK['figure']} says"
    tiles = [iou for image in content["images"] for iou in image["iou"].values()]
    caption = README.read_text()[MARK.end() :].split(END)[0]
    numbers = [float(text) for text in re.findall(r"\d\.\d\d", caption)]
    assert sorted(numbers) == sorted(round(iou, 2) for iou in tiles)
    assert len(numbers) == len(spec["methods"]) * spec["images"]


@pytest.mark.usefixtures("_accepted")
def test_its_caption_is_written_anew_and_says_what_the_records_say():
    text = README.read_text()
    wrong = re.sub(r"0\.\d\d, 0\.\d\d;", "0.99, 0.99;", text)
    assert wrong != text
    assert renewed_picture(wrong, README, accepted_plan) == text
    spec, plan = load_figure(str(ROOT / MARK["figure"])), accepted_plan(MARK["protocol"])
    cell = plan.cell(spec["dataset"], "bottle", spec["choose_by"], plan.protocol.seeds[0])
    rows = {row.id: row.iou for row in read_checked(paths.RECORDS / cell.record, cell).images}
    said = re.search(rf"{plan.methods[cell.method].title} (\d\.\d\d), (\d\.\d\d)", text).groups()
    assert set(said) <= {f"{iou:.2f}" for iou in rows.values() if iou is not None}


def test_without_records_it_says_so_and_without_marks_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bare = renewed_picture(README.read_text(), README, accepted_plan)
    assert "No accepted record carries pictures of it yet.*\n" in bare
    assert renewed_picture("# Title\n", README, accepted_plan) == "# Title\n"
    with pytest.raises(ConfigError, match="the picture has no end; add a line"):
        renewed_picture(README.read_text().replace(END, ""), README, accepted_plan)
