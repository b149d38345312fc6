"""The verdict: paired statistics against scipy's, and each of its five words from made-up records."""

from __future__ import annotations

import json
from dataclasses import asdict
from zlib import crc32

import numpy as np
import pytest
from scipy import stats

from harness.audit import verdict_page
from harness.audit.claims import load_claims
from harness.audit.names import named
from harness.audit.paired import Sample, compare, of_differences
from harness.audit.samples import Samples
from harness.audit.verdict import _budgets, lines
from harness.audit.verdict_head import headlines
from harness.audit.verdict_markdown import estimate as text
from harness.audit.verdict_page import verdict_faults, verdicts, write
from harness.audit.verdict_readme import BEGIN, END, accepted, accepted_sentence, paragraph, renewed
from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records.record import ImageRow
from harness.records.status import Status
from harness.tables.published import read_published
from tests.unit.fake_plan import FakePlan, measured, records_of

CLAIMS = {claim.id: claim for claim in load_claims()}
SEEDS = (0, 1, 2)


def rows(value, spread=0.02, shift=0):
    noise = np.random.default_rng(shift).normal(0, spread, 20)
    return tuple(
        ImageRow(
            f"{i}.png", "cut", i % 4 > 0, float(i % 4 > 0) + noise[i] * 20, float(value + noise[i]) if i % 4 else None
        )
        for i in range(20)
    )


def found(value, seed=0, shift=0, **over):
    """Return evidence whose every measure lies near `value`, by seed, with images to match."""
    value = value + 0.004 * (seed - 1)
    curve = {"thresholds": [0.0, 1.0], "iou": [0.05, 0.0]}
    return measured(value, seed=seed, images=rows(value, shift=shift), curve=curve, **over)


def evidence(values, *, categories=("bottle", "cable"), seeds=SEEDS, protocol=None, default=None):
    """Return made-up records of Table 3's data: {method: IoU} on some categories."""

    def answer(_, category, method, seed):
        value = values.get(method, default)
        if value is None or category not in categories:
            return Status("not_measured", "no accepted record")
        return found(value, seed, shift=crc32(f"{category}/{method}".encode()))

    return records_of(FakePlan(answer, seeds=seeds, protocol=protocol))


def judged(name, records):
    return lines([CLAIMS[name]], [records])[0]


# statistics


def test_the_interval_over_differences_is_scipys():
    values = [0.1, 0.3, 0.25, 0.18]
    estimate = of_differences(values)
    test = stats.ttest_1samp(values, 0)
    assert estimate.p == pytest.approx(test.pvalue)
    assert (estimate.low, estimate.high) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert (estimate.sign, estimate.count) == (1, 4)
    assert of_differences([0.2]) is None


def test_equal_differences_leave_no_doubt_and_no_difference_none():
    assert (of_differences([0.2, 0.2]).sign, of_differences([0.2, 0.2]).p) == (1, 0.0)
    assert (of_differences([0.0, 0.0]).sign, of_differences([0.0, 0.0]).p) == (0, 1.0)


def images(values):
    return {str(i): ImageRow(str(i), "cut", True, 0.0, value) for i, value in enumerate(values)}


def test_pairs_are_what_both_sides_have():
    left = {("a", 0): Sample(0.5), ("a", 1): Sample(0.6), ("b", 0): Sample(0.9), ("c", 1): Sample(0.1)}
    right = {("a", 0): Sample(0.4), ("a", 1): Sample(0.4), ("b", 0): Sample(0.1), ("d", 0): Sample(0.1)}
    paired = compare(left, right)
    assert paired.categories == ("a",), "b lacks a seed on both sides, c and d a side"
    assert (paired.seeds, paired.above) == (2, 1)
    assert paired.difference == pytest.approx(0.15)
    assert paired.over_images is None
    assert paired.sign == 0
    assert compare({("a", 0): Sample(0.5)}, {("a", 1): Sample(0.5)}) is None


def test_images_are_paired_by_name_over_categories_and_averaged_over_seeds():
    left = {("a", s): Sample(0.5, None, "iou", images([0.5, 0.6, 0.9])) for s in (0, 1)}
    right = {("a", s): Sample(0.4, None, "iou", images([0.4, 0.3])) for s in (0, 1)}
    estimate = compare(left, right).over_images
    assert (estimate.count, estimate.mean) == (2, pytest.approx(0.2))


def scored(scores):
    return {str(i): ImageRow(str(i), "cut", i >= 50, float(score), None) for i, score in enumerate(scores)}


def test_an_image_auroc_is_redrawn_for_both_sides_alike():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1], 50)
    good, bad = truth + random.normal(0, 0.5, 100), truth + random.normal(0, 3, 100)
    sides = [{("a", 0): Sample(0.5, None, "score", scored(s))} for s in (good, bad, good)]
    better = compare(sides[0], sides[1]).over_images
    assert better.sign == 1
    assert better.p < 0.01
    same = compare(sides[0], sides[2]).over_images
    assert (same.low, same.high, same.p) == (0.0, 0.0, 1.0)
    both = ({("a", seed): side["a", 0] for seed in (0, 1)} for side in sides[:2])
    assert compare(*both).over_images.count == 100, "images, however many seeds"


def test_a_heading_that_holds_an_identifier_is_not_named_twice():
    names = {"": {}, "table8": {"c1": "CAVGA-R*_u, c1", "c3": "CAVGA-R_u, + conv z, c3"}}
    assert named("c1 and CAVGA-R_u, + conv z, c3", names, ["table8"]) == "CAVGA-R*_u, c1 and CAVGA-R_u, + conv z, c3"


def test_without_images_two_intervals_stand_in_and_are_wide():
    left, right = (Sample(value, (value - 0.05, value + 0.05)) for value in (0.7, 0.5))
    estimate = compare({("a", 0): left}, {("a", 0): right}).over_images
    assert estimate.high - estimate.mean == pytest.approx(2**0.5 * 0.05)
    assert estimate.count == 0
    assert text(asdict(estimate)).endswith("unpaired")
    assert estimate.sign == 1
    assert estimate.p == pytest.approx(2 * stats.norm.sf(0.2 / (2**0.5 * 0.05 / stats.norm.ppf(0.975))))


# words


def test_without_records_nothing_is_judged():
    line = judged("table3_weak_over_unsupervised", evidence({}))
    assert (line.word, line.why, line.basis) == ("cannot be judged", "nothing is measured", None)


def test_a_smaller_budget_shows_a_direction_and_no_more():
    line = judged("table3_weak_over_unsupervised", evidence({"cavga_r_w": 0.4, "cavga_r_u": 0.3}))
    assert line.word == "direction only"
    assert line.basis.protocol == "lite protocol"
    assert line.comparisons[0].paired.categories == ("bottle", "cable")
    assert line.comparisons[0].paired.over_seeds.sign == line.comparisons[0].paired.over_images.sign == 1


def test_a_difference_the_other_way_contradicts():
    line = judged("table3_weak_over_unsupervised", evidence({"cavga_r_w": 0.3, "cavga_r_u": 0.4}))
    assert (line.word, line.why) == ("contradicted", "cavga_r_u lies above cavga_r_w, over seeds and images")


@pytest.mark.parametrize(
    ("one", "other", "text"),
    [
        (160_000, 9_600, " (160,000 images seen against 9,600)"),
        (9_600, 9_600, ""),
        (12_000, 9_600, ""),
        (None, 9_600, ""),
    ],
)
def test_a_contradiction_names_budgets_that_differ_much(one, other, text):
    better, worse = ({("0", 0): Sample(0.5, seen=seen)} for seen in (one, other))
    assert _budgets(better, worse) == text


def test_no_difference_is_not_reproduced():
    line = judged("table3_weak_over_unsupervised", evidence({"cavga_r_w": 0.4001, "cavga_r_u": 0.4}))
    assert line.word == "not reproduced"


def test_a_claim_on_every_category_needs_every_measured_category():
    def answer(_, category, method, seed):
        low = category == "cable" and method == "cavga_r_w"
        return found({"cavga_r_w": 0.8, "cavga_r_u": 0.3}.get(method, 0.1) - 0.55 * low, seed)

    line = judged("table3_weak_over_unsupervised", records_of(FakePlan(answer, seeds=SEEDS)))
    assert line.comparisons[0].paired.above == 14
    assert line.word == "not reproduced"
    assert "lies above cavga_r_u, but only in 14 of 15 categories" in line.why


def test_a_verdict_names_the_data_of_what_is_compared_alone():
    def answer(dataset, category, method, seed):
        known = {("mnist", "cavga_d_u"): 0.6, ("mnist_leave_one_out", "beta_vae"): 0.8}
        value = known.get((dataset, method))
        return Status("not_measured", "no accepted record") if value is None else found(value, seed)

    line = judged("table2_mnist", records_of(FakePlan(answer, seeds=SEEDS)))
    assert line.comparisons[0].paired is not None
    assert line.basis.data == ("MNIST", "MNIST LEAVE ONE OUT")


@pytest.mark.parametrize(
    ("values", "seeds", "why"),
    [
        ({"cavga_r_w": 0.4, "cavga_r_u": 0.3}, (0,), "one seed"),
        ({"cavga_r_w": 0.4}, SEEDS, "not measured on common data: cavga_r_w and cavga_r_u"),
        ({"cavga_r_w": 0.045, "cavga_r_u": 0.01}, SEEDS, "cavga_r_w is not above what finding nothing gives"),
    ],
)
def test_what_carries_no_direction_is_said(values, seeds, why):
    line = judged("table3_weak_over_unsupervised", evidence(values, seeds=seeds))
    assert line.word == "cannot be judged"
    assert why in line.why


def test_below_the_yardstick_nothing_contradicts_either():
    line = judged("table3_weak_over_unsupervised", evidence({"cavga_r_w": 0.01, "cavga_r_u": 0.045}))
    assert line.word == "cannot be judged"


def test_a_smaller_budget_judges_no_size():
    records = evidence({}, default=0.5)
    assert judged("table4_comparable", records).word == "cannot be judged"
    assert "no size" in judged("table4_comparable", records).why
    assert judged("table7_comparable", records).why == CLAIMS["table7_comparable"].check[0].why


def test_one_baseline_of_ten_is_enough_to_contradict_and_chance_among_ten_is_not():
    values = dict.fromkeys(("cavga_d_u", "cavga_r_u"), 0.4)
    line = judged("table3_mean", evidence({**values, "vm": 0.6}, default=0.1))
    assert line.word == "contradicted"
    assert "vm lies above" in line.why
    line = judged("table3_mean", evidence({**values, "vm": 0.402}, default=0.1))
    assert line.word == "not reproduced"


def printed(weak_above=True):
    sheet = read_published("table3_iou.csv")

    def answer(_, category, method, seed):
        value = sheet.value(method, category)
        return found((value or 0.0) if weak_above or method != "cavga_r_w" else 0.05, seed)

    return records_of(FakePlan(answer, protocol={"id": "paper", "title": "paper protocol"}))


def test_the_papers_protocol_reproduces_or_does_not():
    assert judged("table3_weak_over_unsupervised", printed()).word == "reproduced"
    assert judged("table3_weak_over_unsupervised", printed(weak_above=False)).word == "not reproduced"


def test_the_papers_protocol_with_seeds_can_contradict():
    paper = {"id": "paper", "title": "paper protocol"}
    everything = tuple(read_published("table3_iou.csv").positions)[:-1]
    records = evidence({"cavga_r_w": 0.3, "cavga_r_u": 0.4}, categories=everything, protocol=paper)
    assert judged("table3_weak_over_unsupervised", records).word == "contradicted"


def test_where_the_papers_protocol_says_nothing_the_next_one_is_asked():
    nothing = evidence({}, protocol={"id": "paper", "title": "paper protocol"})
    lite = evidence({"cavga_r_w": 0.4, "cavga_r_u": 0.3})
    line = lines([CLAIMS["table3_weak_over_unsupervised"]], [nothing, lite])[0]
    assert (line.word, line.basis.protocol) == ("direction only", "lite protocol")


def test_a_sentence_on_the_ablation_is_judged_step_by_step():
    values = {
        "ablation_r_u_flat": 0.2,
        "ablation_r_u_flat_ae": 0.4,
        "ablation_r_u_conv": 0.3,
        "ablation_r_u_conv_ae": 0.2,
    }
    whole, *steps = lines([CLAIMS["table8_l_ae"]], [evidence(values)])
    assert whole.word == "contradicted"
    assert [(verdict_page.step_name(step), step.word) for step in steps] == [
        ("c1 → c2", "direction only"),
        ("c3 → c4", "contradicted"),
    ]


def test_stand_ins_judge_nothing():
    records = records_of(FakePlan(lambda *_: found(0.5), stand_ins={"mvtec_ad": "demo_textures"}, seeds=SEEDS))
    assert Samples(records).of("table3_iou", "cavga_r_u") == {}
    assert judged("table3_mean", records).basis is None


def test_the_headline_compares_means_over_the_same_categories():
    heads = headlines([CLAIMS["table3_mean"]], [evidence({"cavga_r_u": 0.2})])
    assert len(heads) == 1
    assert heads[0].published == pytest.approx((0.34 + 0.44) / 2)
    assert heads[0].measured == pytest.approx(0.2)
    assert (heads[0].yardstick, heads[0].categories, heads[0].of, heads[0].seeds) == (pytest.approx(0.05), 2, 15, 3)
    assert (min(heads[0].by_seed), max(heads[0].by_seed)) != (heads[0].measured, heads[0].measured)


# the page


def test_the_page_follows_from_its_data_and_says_when_there_is_none(tmp_path):
    made = verdicts([evidence({})])
    assert "Nothing that was measured so far" in made.sentences[1]
    assert "cannot judge any yet" in made.sentences[0]
    page = tmp_path / "verdict.md"
    write(made, page)
    content = json.loads(page.with_suffix(".json").read_text())
    assert content["sentences"] == list(made.sentences)
    assert {line["verdict"] for line in content["lines"]} == {"cannot be judged"}
    assert len(content["lines"]) == len(CLAIMS) + 12 - 4
    assert all(sentence in page.read_text() for sentence in made.sentences)


def test_the_page_with_numbers_names_budget_seeds_and_intervals():
    made = verdicts([evidence({"cavga_r_w": 0.4, "cavga_r_u": 0.3})])
    text = verdict_page.markdown(made.content())
    assert "shows 1 in direction only" in made.sentences[0]
    where = "(2 of 15 categories, 3 seeds; marking every pixel: 0.05)"
    assert f"a mean IoU of 0.30 where 0.39 is printed {where}" in made.sentences[1]
    assert "lite protocol, 6,000 images seen; MVTEC AD" in text
    assert "cavga_r_w 0.400 against cavga_r_u 0.300: +0.100 [" in text
    assert "p < 0.001, n = 30" in text


def test_a_page_that_does_not_follow_from_the_records_is_a_fault(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "verdict.md"
    assert [fault.split(": ")[1].split(";")[0] for fault in verdict_faults(page)] == ["missing", "missing"]
    write(verdicts(), page)
    assert verdict_faults(page) == []
    page.write_text(page.read_text().replace("cannot judge any yet", "reproduces all"))
    assert verdict_faults(page) == [
        f"{page}: differs from what the accepted records give; run: python -m harness verdict"
    ]


# the README


def test_the_readme_holds_the_sentences_of_the_committed_verdict():
    content = json.loads((ROOT / "docs/results/verdict.json").read_text())
    readme = (ROOT / "README.md").read_text()
    assert paragraph(content) == readme.split(BEGIN)[1].split(END)[0].strip(), "run: python -m harness verdict"
    assert all(f"- {sentence}\n" in readme for sentence in content["sentences"])
    assert len(readme.splitlines()) <= 90, "one page; the rest belongs into docs/"


def test_a_readme_that_says_something_else_is_a_fault_and_the_rest_of_it_is_kept(tmp_path):
    page, readme = tmp_path / "verdict.md", tmp_path / "README.md"
    readme.write_text(f"# Title\n\n{BEGIN}\n- It reproduces.\n{END}\n\nBelow.\n")
    found = verdicts()
    write(found, page)
    assert verdict_faults(page, readme) == [
        f"{readme}: differs from what the accepted records give; run: python -m harness verdict"
    ]
    write(found, page, readme)
    assert verdict_faults(page, readme) == []
    text = readme.read_text()
    assert (text.startswith(f"# Title\n\n{BEGIN}\n- Of"), text.endswith(f"\n{END}\n\nBelow.\n")) == (True, True)
    assert "It reproduces" not in text


@pytest.mark.parametrize("text", ["# Title\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_readme_without_both_marks_is_told_which(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(ConfigError, match="has no place; add a line"):
        renewed(readme, verdicts([evidence({})]).content())
    page = tmp_path / "verdict.md"
    write(verdicts(), page)
    assert "has no place" in verdict_faults(page, readme)[0]


def test_what_is_accepted_counts_by_data_and_leaves_out_what_does_not_count(tmp_path):
    for name in ("bottle/vm/seed0", "bottle/vm/seed1", "bottle/cavga_r_u/seed0", "cable/cavga_r_u/seed0"):
        path = tmp_path / "lite/mvtec_ad" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    answers = {"cable": Status("stale", "older"), "bottle": Status("recorded", record=found(0.5).record)}
    records = records_of(FakePlan(lambda _, category, *rest: answers[category], seeds=SEEDS))
    (entry,) = accepted(records, tmp_path)
    assert (entry["methods"], entry["of"], entry["seeds"], entry["records"]) == (["cavga_r_u", "vm"], 15, 2, 3)
    said = accepted_sentence([entry, {**entry, "methods": ["vm"], "seeds": 1}])
    assert said.startswith("Accepted so far: 2 methods on MVTEC AD, Bottle (1 of 15 categories), lite protocol")
    assert "; vm on MVTEC AD" in said
    assert "vm and 2 readings of them on" in accepted_sentence([{**entry, "methods": ["vm"], "readings": 2}])
    assert accepted_sentence([]) == "No record that counts is accepted yet."
