"""A table in the terminal: 80 columns, the paper's own methods first, what matters above the numbers."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from harness.config import load_methods
from harness.records.status import Status
from harness.tables.aggregate import aggregate
from harness.tables.headline import headlines, title_line
from harness.tables.spec import LayerSpec, load_table, table_ids
from harness.tables.terminal import show
from tests.unit.fake_plan import FakePlan, measured, records_of

NONE = Status("not_measured", "no accepted record")


def build(name, answer, **plan):
    made = FakePlan(answer, **plan)
    made.methods |= load_methods()
    return aggregate(records_of(made), load_table(name))


def shown(table, width=80, **options):
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    show(table, console, **options)
    return console.file.getvalue()


def only(method, category):
    """Return evidence of one method in one category."""
    return lambda _, place, name, __: measured(0.5) if (name, place) == (method, category) else NONE


@pytest.mark.parametrize("name", [name for name in table_ids() if not isinstance(load_table(name), LayerSpec)])
def test_every_table_fits_80_columns_and_breaks_no_word_of_a_heading(name):
    table = build(name, lambda _, category, method, __: measured((len(category) * len(method) % 10) / 10))
    lines = shown(table).splitlines()
    assert max(map(len, lines)) <= 80
    words = {word for head in table.columns for word in re.split(r"(?<=-)|\s", head.title.text) if word}
    assert not {word for word in words if word not in "\n".join(lines)}


def test_own_methods_come_first_and_rows_stand_under_their_group():
    lines = shown(build("table3_iou", lambda *_: measured(0.5))).splitlines()
    heading = next(line for line in lines if line.startswith("Category"))
    assert heading.split()[1:5] == ["CAVGA-D_u", "CAVGA-R_u", "CAVGA-D_w", "CAVGA-R_wᵉ"]
    lines = shown(build("main_table7_auroc_mnist_cifar10", lambda *_: measured(0.5))).splitlines()
    place = lines.index("MNIST, one class")
    assert lines[place + 1].startswith("CAVGA-D_uᵈ   0.500 0.500")
    assert lines[place + 2].split()[0] == "0.994", "the printed numbers stand below"
    assert lines[place + 1].index("0.500") == lines[place + 2].index("0.994"), "point under point"


def test_what_matters_is_said_first():
    table = build("table3_iou", only("cavga_r_u", "bottle"))
    assert title_line(table) == "Table 3: IoU on MVTec AD, lite protocol: 1 of 224 numbers reproduced."
    assert headlines(table) == ("CAVGA-R_u has 0.50 where 0.34 is printed (1 of 15 categories).",)
    both = {"cavga_r_u": 0.3, "cavga_r_w": 0.38}
    table = build("table3_iou", lambda _, c, m, __: measured(both[m]) if c == "bottle" and m in both else NONE)
    (sentence,) = headlines(table)
    assert sentence.startswith("Of CAVGA's 2 the nearest to print is CAVGA-R_w with 0.38 where 0.39 is printed")
    assert headlines(build("table3_iou", only("vm", "bottle"))) == ("No number of CAVGA is reproduced.",)


def test_a_number_over_more_categories_is_not_beaten_by_a_lucky_one():
    def answer(_, category, method, __):
        lucky = method == "cavga_r_w" and category == "bottle"
        return measured(0.39 if lucky else 0.1) if lucky or method == "cavga_r_u" else NONE

    (sentence,) = headlines(build("table3_iou", answer))
    assert "CAVGA-R_u with 0.10 where 0.47 is printed (15 of 15 categories)" in sentence


def test_other_data_are_not_held_against_print():
    table = build("table3_iou", lambda *_: measured(0.5), stand_ins={"mvtec_ad": "demo_textures"})
    (sentence,) = headlines(table)
    assert sentence.startswith("Of CAVGA's 4 the best is ")
    assert "printed" not in sentence
    assert "3 of 3 categories" in sentence


def test_a_failure_is_counted_in_the_first_line():
    broken = Status("failed", "loss is not finite")
    table = build("table3_iou", lambda _, c, m, __: broken if (c, m) == ("bottle", "vm") else measured(0.5))
    assert title_line(table).endswith(" reproduced, 1 failed.")


def test_only_what_was_measured_is_shown_when_asked_for():
    table = build("table3_iou", only("cavga_r_u", "bottle"))
    text = shown(table, measured=True)
    assert "CAVGA-R_u" in text
    assert "Bottle" in text
    numbers = text.partition("\n\n")[2]
    assert "Hazelnut" not in numbers
    assert "AVID" not in numbers
    assert "Bergmann" not in numbers, "the footnote of a column that is not shown"
    assert "cnnfd" not in numbers, "where nothing was measured"
    assert "not measured (" in numbers
    nothing = shown(build("table3_iou", lambda *_: NONE), measured=True)
    assert "No number of CAVGA is reproduced." in nothing
    assert "Category" not in nothing


def test_a_failure_is_told_with_its_place_also_when_empty_rows_are_left_out():
    broken = Status("failed", "loss is not finite")
    text = shown(build("table3_iou", lambda _, __, m, ___: broken if m == "cnnfd" else NONE), measured=True)
    assert "failed (15): loss is not finite – cnnfd on mvtec_ad: bottle, hazelnut" in " ".join(text.split())


def test_a_long_name_takes_two_lines_rather_than_the_columns():
    text = shown(build("readings_mvtad", lambda *_: measured(0.5)), width=60)
    assert "u: min-max over the training images at test" not in text
    assert re.search(r"^u: min-max .* 0\.500", text, re.M)
    assert max(map(len, text.splitlines())) <= 60
