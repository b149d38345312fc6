"""The report's first screen: published beside reproduced, from made-up records."""

from __future__ import annotations

import re

import pytest

from harness.audit.gaps import all_pairs, gaps, pairs
from harness.audit.samples import Samples
from harness.records.status import Status
from harness.report.build import read_verdict
from harness.report.details import forest
from harness.report.overview import closer, pictures
from harness.tables.published import read_published
from harness.tables.spec import table_ids
from tests.unit.fake_plan import FakePlan, measured, records_of

SHEET = read_published("table3_iou.csv")


def samples(change=lambda value, _: value, categories=("bottle", "cable"), **plan):
    """Return Table 3's printed numbers, changed, as if they were measured."""

    def answer(dataset, category, method, _):
        value = SHEET.value(method, category)
        if dataset != "mvtec_ad" or category not in categories or value is None:
            return Status("not_measured", "no record")
        return measured(change(value, method))

    return Samples(records_of(FakePlan(answer, **plan)))


def test_pairs_hold_both_numbers_and_are_counted_once():
    found = samples(lambda value, _: value / 2)
    mine = [pair for pair in pairs(found, "table3_iou") if pair.series == "cavga_r_u"]
    assert [(pair.position, pair.published, pair.reproduced) for pair in mine] == [
        ("bottle", 0.34, pytest.approx(0.17)),
        ("cable", 0.44, pytest.approx(0.22)),
    ]
    both = all_pairs(found, ["table3_iou", "main_table3_iou_mvtad"])
    assert len(both) == len(pairs(found, "table3_iou")), "the main paper prints the same numbers"


def test_a_gap_is_the_mean_over_categories_with_both_numbers():
    found = {gap.series: gap for gap in gaps(samples(lambda value, _: value + 0.1), "table3_iou")}
    assert found["cavga_r_u"].published == pytest.approx(0.39)
    assert found["cavga_r_u"].reproduced == pytest.approx(0.49)
    assert (found["cavga_r_u"].categories, found["cavga_r_u"].of) == (2, 15)


def test_the_first_screen_says_how_many_lie_above_and_how_the_order_changed():
    shown = {picture.id: picture for picture in pictures(samples(lambda value, _: value))}
    assert set(shown) == {"scatter", "gaps", "ranks"}
    every = all_pairs(samples(lambda value, _: value), table_ids())
    above = sum(pair.reproduced > pair.published for pair in every)
    assert f": {above} above the diagonal, {len(every) - above} on or below it" in shown["scatter"].caption
    assert "Rank correlation +1.00" in shown["ranks"].caption
    reverse = {picture.id: picture for picture in pictures(samples(lambda value, _: 0.9 - value))}
    assert "Rank correlation −1.00" in reverse["ranks"].caption
    assert 'class="r up"' in reverse["ranks"].plot
    assert 'class="r up"' not in shown["ranks"].plot


def test_the_table_that_compares_most_methods_is_shown_and_not_one_method_at_five_thresholds(monkeypatch):
    monkeypatch.setattr(Samples, "own", lambda _, table, series: series.startswith("cavga"))
    found = {"cavga_r_u": 0.3, "vm": 0.2, "cnnfd": 0.1}

    def answer(dataset, category, method, _):
        known = dataset == "mvtec_ad" and category == "bottle" and method in found
        return measured(found[method]) if known else Status("not_measured", "no record")

    shown = {picture.id: picture for picture in pictures(Samples(records_of(FakePlan(answer))))}
    assert shown["gaps"].caption.startswith("Table 3:")
    assert shown["gaps"].plot.count('class="s0"') == 3
    assert shown["gaps"].plot.index("cavga_r_u") < shown["gaps"].plot.index("cnnfd"), "the paper's own methods first"


def test_every_pair_is_a_dot_with_its_numbers():
    found = samples(lambda value, method: 0.123 if method == "vm" else value)
    plot = pictures(found)[0].plot
    assert plot.count("<circle") == len(all_pairs(found, table_ids()))
    assert "vm, bottle: IoU 0.03 published, 0.123 reproduced" in plot


def test_nothing_stands_beside_a_published_number_that_was_measured_on_other_data():
    assert pictures(samples(stand_ins={"mvtec_ad": "demo_textures"})) == []
    assert pictures(samples(categories=())) == []


def test_the_closer_look_has_a_square_for_each_pair():
    found = samples(lambda value, _: value + 0.2)
    grid, *_ = closer(found, read_verdict())
    assert grid.plot.count("<rect") == len(pairs(found, "table3_iou"))
    assert "full at ±0.20" in grid.caption


def comparison(low, high):
    seeds = {"mean": (low + high) / 2, "low": low, "high": high, "p": 0.01, "count": 3}
    return {"table": "t", "left": "A", "right": f"B{low}", "paired": {"over_seeds": seeds}}


def test_paired_differences_are_coloured_only_where_their_interval_leaves_out_zero():
    lines = [{"comparisons": [comparison(0.1, 0.3), comparison(-0.3, -0.1), comparison(-0.1, 0.1)]}] * 2
    _, plot = forest(lines)
    assert re.findall(r'class="r (\w*)"', plot) == ["up", "down", ""]
    assert forest([{"comparisons": []}]) is None
