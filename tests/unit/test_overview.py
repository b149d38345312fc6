"""The report's first screen: published beside reproduced, from made-up records."""

from __future__ import annotations

import re

import pytest

from harness.audit.gaps import Gap, all_pairs, gaps, pairs
from harness.audit.samples import Samples
from harness.config import load_config
from harness.figures.series import Curve
from harness.records.plan import Plan
from harness.records.status import Status
from harness.report.build import read_verdict, threshold_plots
from harness.report.forest import forest
from harness.report.overview import _ranks, closer, pictures
from harness.tables.cells import Evidence
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
    assert "orange mark: what marking every pixel (AuROC: a coin) gives" in shown["gaps"].caption
    reverse = {picture.id: picture for picture in pictures(samples(lambda value, _: 0.9 - value))}
    assert "Rank correlation −1.00" in reverse["ranks"].caption
    assert 'class="r up"' in reverse["ranks"].plot
    assert 'class="r up"' not in shown["ranks"].plot


def test_an_oracle_is_marked_in_the_change_of_ranks():
    plan = Plan.load("lite", load_config({"data_root": None}))
    assert Samples(Evidence(plan)).oracle("table3_iou", "gamma_vae_g")
    assert not Samples(Evidence(plan)).oracle("table3_iou", "vm")
    gap = Gap("vm", "VM", 0.2, 0.3, None, 1, 15)
    other = Gap("gamma_vae_g", "γ-VAE", 0.4, 0.2, None, 1, 15, oracle=True)
    ranks = _ranks([gap, other], "Table 3")
    assert ranks.caption.endswith("†: at the best threshold on the test images.")
    assert "2 γ-VAE†</text>" in ranks.plot
    assert "†" not in _ranks([gap, gap], "Table 3").plot


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


def test_the_gap_of_a_method_shows_its_lowest_and_highest_seed():
    def answer(dataset, category, method, seed):
        known = dataset == "mvtec_ad" and category == "bottle" and method in ("cavga_r_u", "vm")
        shift = {"cavga_r_u": 0.01, "vm": 0.0}.get(method, 0.0)
        return measured(0.1 + shift * seed) if known else Status("not_measured", "no record")

    found = {gap.series: gap for gap in gaps(Samples(records_of(FakePlan(answer, seeds=(0, 1, 2)))), "table3_iou")}
    assert found["cavga_r_u"].seeds == pytest.approx((0.1, 0.11, 0.12))
    assert found["cavga_r_u"].reproduced == pytest.approx(0.11)
    three = {picture.id: picture for picture in pictures(Samples(records_of(FakePlan(answer, seeds=(0, 1, 2)))))}
    assert "from the lowest to the highest of 3 seeds" in three["gaps"].caption
    assert three["gaps"].plot.count('class="w"') == 2
    one = {picture.id: picture for picture in pictures(Samples(records_of(FakePlan(answer, seeds=(0,)))))}
    assert "seeds" not in one["gaps"].caption
    assert 'class="w"' not in one["gaps"].plot


def comparison(low, high, images=None, table="t", right=None, count=3):
    def estimate(low, high):
        return {"mean": (low + high) / 2, "low": low, "high": high, "p": 0.01, "count": count}

    paired = {"categories": ["bottle"], "seeds": count, "over_seeds": estimate(low, high) if count > 1 else None}
    paired["over_images"] = estimate(*images or (low, high))
    return {"table": table, "left": "A", "right": right or f"B{low}", "of": 15, "paired": paired}


def test_paired_differences_are_coloured_only_where_both_intervals_leave_out_zero():
    lines = [{"comparisons": [comparison(0.1, 0.3), comparison(-0.3, -0.1), comparison(-0.1, 0.1)]}] * 2
    lines.append({"comparisons": [comparison(0.2, 0.3, images=(-0.1, 0.1)), comparison(0.1, 0.2, count=1, right="C")]})
    caption, plot = forest(lines, "Table {}".format)
    assert re.findall(r'<path d="[^"]*" class="r (\w*)"', plot) == ["up", "down", "", ""]
    assert re.findall(r'<rect[^>]* class="(\w*)"', plot) == ["up", "down", "unsure", "unsure"]
    assert "0.200 [0.100, 0.300]; 1 of 15, 3 seeds" in plot
    assert "−0.200 [−0.300, −0.100]" in plot
    assert caption.endswith("Left out, for one seed has no interval: 1 comparison.")
    assert forest([{"comparisons": []}], str) is None
    assert forest([{"comparisons": [comparison(0.1, 0.2, count=1)]}], str) is None


def test_paired_differences_stand_under_their_table_on_one_axis_that_ends_at_a_round_number():
    lines = [{"comparisons": [comparison(-0.47, 0.1), comparison(0.0, 0.02, table="u"), comparison(0.2, 0.3)]}]
    _, plot = forest(lines, "Table {}".format)
    assert re.findall(r'class="t">([^<]*)<', plot) == ["Table t", "Table u"]
    assert plot.index("B0.2") < plot.index("Table u"), "the rows of a table stay together"
    assert re.findall(r'class="m">([^<]*)<', plot) == ["−0.5", "0", "0.5"]


def test_threshold_plots_share_their_axes_and_leave_out_what_is_only_printed():
    printed = Curve("published", [0.2, 0.6], [0.4, 0.9], published=True)
    found = {
        "Bottle": [Curve("cavga_r_u", [0.0, 1.0], [0.1, 0.5]), printed],
        "Cable": [Curve("cavga_r_u", [0.0, 0.5], [0.1, 0.2])],
        "Pill": [printed],
    }
    drawn, printed_only = threshold_plots(found)
    assert printed_only == ["Pill"]
    ends = [re.findall(r'class="[ml]">([^<]+)<', plot) for plot in drawn]
    assert ends == [["0", "1", "0.9"]] * 2
    assert threshold_plots({}) == ([], [])
