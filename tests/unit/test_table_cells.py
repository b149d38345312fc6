"""One cell: states, seeds, holes, policies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.records.status import Status
from harness.tables.cells import resolve
from harness.tables.layout import Query
from tests.unit.fake_plan import FakePlan, measured, record, records_of

GONE = Status("unavailable", "no archive")
THREE = ("bottle", "hazelnut", "capsule")


def ask(answer, query=None, **plan):
    return resolve(records_of(FakePlan(answer, **plan)), query or Query("mvtec_ad", ("bottle",), "avid", "iou"))


def mean_of(*categories):
    return Query("mvtec_ad", categories, "avid", "iou", reduced=True)


def test_one_seed_keeps_the_records_interval_threshold_and_path():
    content = record(0.4)
    content = replace(content, measures=tuple(replace(m, interval=(0.3, 0.5)) for m in content.measures))
    cell = ask(lambda *_: Status("recorded", None, content, "records/x.json"))
    assert (cell.state, cell.reproduced, cell.spread) == ("recorded", 0.4, None)
    assert (cell.interval, cell.threshold, cell.policy) == ((0.3, 0.5), 0.5, "fixed:0.5")
    assert (cell.records, cell.fingerprints) == (("records/x.json",), (content.fingerprint,))


def test_seeds_give_mean_and_sample_deviation():
    cell = ask(lambda *key: measured(0.4 + 0.1 * key[-1]), seeds=(0, 1))
    assert cell.reproduced == pytest.approx(0.45)
    assert cell.spread == pytest.approx(0.1 / 2**0.5)
    assert cell.interval is None, "an interval over test images says nothing of several seeds"


def test_a_missing_seed_leaves_the_cell_blank_and_named():
    cell = ask(lambda *key: measured(0.4) if key[-1] < 2 else Status("failed", "NaN loss"), seeds=(0, 1, 2))
    assert (cell.state, cell.reproduced, cell.n_seeds) == ("failed", None, 2)
    assert cell.reason == "2 of 3 seeds; seed 2: NaN loss"


def test_a_stale_number_is_shown_apart_and_never_counted():
    cell = ask(lambda *_: Status("stale", "sources changed", record(0.4), "r.json"))
    assert (cell.reproduced, cell.stale, cell.reason) == (None, 0.4, "sources changed")
    total = ask(lambda *_: Status("stale", "sources changed", record(0.4), "r.json"), mean_of("bottle"))
    assert (total.reproduced, total.count) == (None, (0, 1))


@pytest.mark.parametrize("policy", ["fixed:0.3", "best_on_test"])
def test_a_columns_own_policy_wins_over_the_methods(policy):
    query = Query("mvtec_ad", ("bottle",), "avid", "iou", policy)
    cell = ask(lambda *_: measured(0.4, measures={("iou", policy): 0.9}), query)
    assert (cell.reproduced, cell.oracle) == (0.9, policy == "best_on_test")


def test_image_accuracy_uses_the_image_threshold_and_auroc_none():
    answer = lambda *_: measured(0.4, measures={("class_accuracy", "own"): 0.8})  # noqa: E731 - one line reads better
    plan = FakePlan(answer)
    plan.methods["avid"] = replace(plan.methods["avid"], image_threshold="own")
    records = records_of(plan)
    assert resolve(records, Query("mvtec_ad", ("bottle",), "avid", "class_accuracy")).reproduced == 0.8
    assert resolve(records, Query("mvtec_ad", ("bottle",), "avid", "pixel_auroc")).policy is None


def test_a_measure_that_the_record_lacks_is_unavailable_with_its_note():
    empty = ask(lambda *_: measured(0.4, measures={("iou", "fixed:0.5"): None}))
    assert (empty.state, empty.reason) == ("unavailable", "the record gives no value for iou")
    content = replace(record(0.4), measures=())
    absent = ask(lambda *_: Status("measured", None, content, "r.json"))
    assert (absent.state, absent.reason) == ("unavailable", "the record has no iou at fixed:0.5")


def test_a_flawed_fit_has_no_number():
    flawed = measured(0.4, flaw="posterior collapsed")
    cell = ask(lambda *_: flawed)
    assert (cell.state, cell.reason, cell.reproduced) == ("unavailable", "posterior collapsed", None)
    assert ask(lambda *_: flawed, mean_of("bottle", "hazelnut")).reproduced is None


def test_a_method_without_maps_has_no_pixel_measure_but_hours():
    plan = FakePlan(lambda *_: measured(0.4))
    plan.methods["avid"] = replace(plan.methods["avid"], gives=("scores",))
    records = records_of(plan)
    cell = resolve(records, Query("mvtec_ad", ("bottle",), "avid", "iou"))
    assert (cell.state, cell.reproduced, cell.records) == ("not_applicable", None, ())
    hours = resolve(records, Query("mvtec_ad", THREE, "avid", "fit_hours", reduced=True))
    assert hours.reproduced == pytest.approx(3.0), "one hour each of three categories"


def test_an_aggregate_with_a_hole_is_blank_counted_and_named():
    cell = ask(lambda _, category, *__: GONE if category == "capsule" else measured(0.4), mean_of(*THREE))
    assert (cell.state, cell.reproduced, cell.count) == ("incomplete", None, (2, 3))
    assert cell.reason == "2 of 3 categories; missing: capsule"


def test_an_aggregate_leaves_out_what_does_not_apply():
    values = {"bottle": 0.2, "hazelnut": 0.4}
    cell = ask(
        lambda _, category, *__: measured(values[category]) if category in values else Status("not_applicable", "x"),
        mean_of(*THREE),
    )
    assert (cell.reproduced, cell.count) == (pytest.approx(0.3), (2, 2))


def test_an_aggregate_over_seeds_averages_each_seed_first():
    cell = ask(lambda _, category, __, seed: measured(len(category) / 10 + seed / 10), mean_of(*THREE), seeds=(0, 1))
    assert cell.values == pytest.approx([0.7, 0.8])
    assert cell.spread == pytest.approx(0.1 / 2**0.5)


def test_evidence_is_asked_for_once():
    asked = []
    records = records_of(FakePlan(lambda *key: asked.append(key) or measured(0.4)))
    for query in (mean_of(*THREE), Query("mvtec_ad", ("bottle",), "avid", "pixel_auroc")):
        resolve(records, query)
    assert len(asked) == 3


def test_evidence_refuses_a_state_without_its_record():
    with pytest.raises(ValueError, match="needs a record"):
        Status("measured")
    with pytest.raises(ValueError, match="unknown state"):
        Status("fine")
