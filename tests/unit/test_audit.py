"""The audit: what must come out on the published numbers, and how claims are judged on the reproduced ones."""

from __future__ import annotations

import csv
from itertools import pairwise

import pytest
from scipy.stats import spearmanr

from harness.audit.agreement import order_of_methods, order_of_positions, spearman
from harness.audit.audit import audit, load_findings
from harness.audit.claims import judge, load_claims
from harness.audit.consistency import check_all, load_rules
from harness.audit.names import named, series_names
from harness.audit.numbers import PublishedNumbers, ReproducedNumbers
from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records.status import Status
from harness.tables.aggregate import aggregate, write_json
from harness.tables.built import read_tables
from harness.tables.published import read_published
from harness.tables.spec import load_table
from tests.unit.fake_plan import FakePlan, measured, records_of

CLAIMS = {claim.id: claim for claim in load_claims()}
ON_PRINT = {name: judge(claim, PublishedNumbers()) for name, claim in CLAIMS.items()}
CONSISTENCY = check_all(load_rules())


def broken(name):
    return {(b.series, b.position) for b in ON_PRINT[name].breaking}


def test_every_claim_has_its_own_id_and_its_words():
    assert len(CLAIMS) == len(load_claims())
    assert all(len(claim.quotation) > 20 and "section" in claim.place for claim in CLAIMS.values())


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("table1_nine_of_fifteen", ["9 of 15", "9 of 15", "9 of 15", "10 of 15", "10 of 15"]),
        ("table2_mnist", ["10 of 10"]),
        ("table2_cifar10", ["9 of 10"]),
        ("table5_eight_of_twelve", ["8 of 12", "8 of 12"]),
        ("table6_eight_of_ten", ["8 of 10"]),
        ("table5_range", ["above at 8 of 12, by 1 % (06) to 30 % (11)", "above at 8 of 12, by 1 % (09) to 30 % (11)"]),
        ("table6_range", ["above at 8 of 10, by 2 % (3) to 24 % (6)"]),
    ],
)
def test_counts_and_ranges_in_print_are_just_as_claimed(name, counts):
    assert ON_PRINT[name].verdict == "holds"
    assert [line.split(": ", 1)[1] for line in ON_PRINT[name].detail] == counts


def test_what_else_holds_in_print():
    holding = {name for name, verdict in ON_PRINT.items() if verdict.verdict == "holds"}
    assert holding >= {"table1_best_baseline", "table3_mean", "table4_comparable", "table6_mean"}
    assert holding >= {"table8_conv_z", "table8_l_ae", "table8_l_cga", "mstc_weak_over_unsupervised"}


def test_a_sentence_on_means_is_shown_with_its_numbers():
    assert ON_PRINT["table3_mean"].detail == [
        "cavga_d_u: mean 0.41 against at most 0.39 (gamma_vae_g)",
        "cavga_r_u: mean 0.47 against at most 0.39 (gamma_vae_g)",
    ]
    assert (
        ON_PRINT["table4_comparable"].detail[0] == "cavga_d_u: mean 0.85 against 0.86 (gamma_vae_g) to 0.87 (ae_ssim)"
    )


def test_identifiers_are_named_as_the_tables_head_them():
    tables = {name: aggregate(records_of(FakePlan(lambda *_: measured(0.5))), load_table(name)) for name in NAMED}
    names = series_names(tables, {"lsa": FakePlan(lambda *_: None).methods["LSA!"]})
    assert (
        named("cavga_r_u@0.2: 9 of 15, gamma_vae_g", names, ["table1_threshold"])
        == "cavga_r_u, 0.2: 9 of 15, gamma_vae_g"
    )
    assert named("mnist/beta_vae at 0", names, ["table2_auroc_mnist_cifar10"]) == "MNIST, leave one out, beta_vae at 0"
    assert named("table1_threshold: lsa", names, ["table1_threshold"]) == "Table 1: LSA!"


NAMED = ("table1_threshold", "table2_auroc_mnist_cifar10")


def test_scene_08_and_two_ties_break_all_scenes():
    assert ON_PRINT["table5_all_scenes"].verdict == "fails"
    assert broken("table5_all_scenes") == {(f"cavga_{s}_w", "08") for s in "dr"} | {
        ("cavga_r_w", "02"),
        ("cavga_r_w", "09"),
    }
    ties = [b for b in ON_PRINT["table5_all_scenes"].breaking if b.left in b.right.values()]
    assert [(b.position, b.right) for b in ties] == [("02", {"lsa": 0.89}), ("09", {"avid": 0.90})]


def test_outperforming_all_baselines_fails_by_category_and_names_them():
    assert ON_PRINT["table3_each_category"].verdict == "fails"
    assert len(broken("table3_each_category")) == 9 + 8
    leather = next(b for b in ON_PRINT["table3_each_category"].breaking if b.position == "leather")
    assert leather.right == {"lsa": 0.77, "ti": 0.98}


@pytest.mark.parametrize("name", ["table4_cavga_d_u_eleven", "table4_cavga_r_u_thirteen", "table4_cavga_d_u_range"])
def test_what_the_scan_lost_cannot_be_judged(name):
    assert ON_PRINT[name].verdict == "cannot be judged"
    assert "nothing printed or readable for cavga" in ON_PRINT[name].missing[0]


def test_half_is_the_best_threshold_in_every_category_of_table1():
    sheet, names = PublishedNumbers(), PublishedNumbers().positions("table1_threshold")
    columns = [name for name in sheet.series("table1_threshold") if "@" in name]
    rows = {name: {c: sheet.value("table1_threshold", c, name) for c in columns} for name in names}
    best = {name: {c for c, value in row.items() if value == max(row.values())} for name, row in rows.items()}
    assert len(best) == 15
    assert all("cavga_r_u@0.5" in found for found in best.values())
    tied = {name: found - {"cavga_r_u@0.5"} for name, found in best.items() if len(found) > 1}
    assert tied == {"tile": {"cavga_r_u@0.6"}, "grid": {"cavga_r_u@0.3"}, "zipper": {"cavga_r_u@0.4"}}
    falling = [n for n, r in rows.items() if any(r[a] > r[b] for a, b in pairwise(columns[:4]))]
    assert len(falling) == 9


RESNET18 = 1.814e9 * (256 / 224) ** 2
"""Multiplications and additions of its convolutions at 256²; He et al. 2016 give 1.8 billion at 224²."""


def operations(name):
    """Return the multiplications and additions an image of the published encoder and decoder."""
    total, side, channels = 0.0, 256, 3
    for row in csv.DictReader((ROOT / "published" / name).open()):
        if row["network"] == "Discriminator":
            break
        if row["operation"].startswith("pretrained"):
            total, side, channels = total + RESNET18, 8, 512
        if row["kernel"]:
            out, filters, kernel = (
                int(row["output"].split("x")[0]),
                int(row["filters"]),
                int(row["kernel"].split("x")[0]),
            )
            places = side if row["operation"].startswith("ConvTr") else out
            total += places**2 * kernel**2 * channels * filters
            side, channels = out, filters
    return total / 1e9


def test_r_takes_longer_with_fewer_operations_and_tests_slower_than_it_trains():
    hours = {name: PublishedNumbers().value("table7_hours", name, "training") for name in ("cavga_d", "cavga_r")}
    assert round(hours["cavga_r"] / hours["cavga_d"], 1) == 2.3
    assert operations("table9_cavga_r.csv") == pytest.approx(6.7, abs=0.06)
    assert operations("table10_cavga_d.csv") == pytest.approx(9.7, abs=0.06)
    assert 3629 * 150 / hours["cavga_r"] / 3600 == pytest.approx(21.6, abs=0.05)
    assert 1725 / PublishedNumbers().value("table7_hours", "cavga_r", "testing") / 3600 == pytest.approx(0.8, abs=0.05)


def test_the_findings_name_what_the_print_says_against_itself():
    assert {finding["id"] for finding in load_findings()} >= {
        "table1_half_is_always_best",
        "table7_slower_with_less",
        "table7_testing",
        "table5_ties",
    }


def test_the_printed_means_that_do_not_fit_their_columns():
    wrong = {(m["table"], m["series"]): m for m in CONSISTENCY["means"] if m["verdict"] == "differs"}
    assert set(wrong) == {("table3_iou", "ae_ssim"), ("table8_ablation", "c4"), ("table8_ablation", "c8")}
    assert [round(m["computed"], 3) for m in wrong.values()] == [0.191, 0.451, 0.574]
    unknown = {m["table"] for m in CONSISTENCY["means"] if m["verdict"] == "cannot be judged"}
    assert unknown == {"table4_auroc_mvtad", "main_table7_auroc_mnist_cifar10"}


def test_the_mean_of_ae_ssim_is_right_with_the_number_it_was_carried_over_from():
    sheet = read_published("table3_iou.csv")
    column = {place: sheet.value("ae_ssim", place) for place in sheet.positions}
    column["leather"] = 0.71
    mean = column.pop("mean")
    assert round(sum(column.values()) / 15, 2) == mean == 0.22


def test_the_tables_that_disagree_with_each_other():
    same = {rule["id"]: rule for rule in CONSISTENCY["same"]}
    places = {name: [cell["position"] for cell in rule["differing"]] for name, rule in same.items()}
    assert places["table1_table3_baseline"] == places["table1_table3_half"] == []
    eight = {"bottle", "hazelnut", "tile", "grid", "cable", "transistor", "toothbrush", "zipper"}
    assert set(places["table8_table3_c4"]) == set(places["table1_table8_c4"]) == eight
    assert set(places["table8_table3_c8"]) == {"cable", "toothbrush", "screw", "mean"}
    main = same["table3_main_table3"]
    assert main["compared"] == 16 * 11
    assert [(c["series"], c["position"]) for c in main["differing"]] == [
        ("ae_ssim", "mean"),
        ("cavga_d_w", "tile"),
        ("cavga_d_w", "mean"),
    ]


def test_findings_speak_of_numbers_that_exist():
    for finding in load_findings():
        for about in finding["about"]:
            assert set(about["series"]) <= set(PublishedNumbers().series(about["table"])), finding["id"]
            known = {*PublishedNumbers().positions(about["table"]), "mean", "mean_auroc"}
            assert set(about.get("positions", [])) <= known, finding["id"]


def reproduced(answer, *names, **plan):
    return ReproducedNumbers(
        {name: aggregate(records_of(FakePlan(answer, **plan)), load_table(name)) for name in names}
    )


def as_printed(missing=()):
    """Return evidence whose every number is the published one of Table 5."""

    def answer(_, scene, method, __):
        if scene in missing:
            return Status("unavailable", "no archive")
        return measured(read_published("table5_auroc_mstc.csv").value(method, scene) or 0.0)

    return answer


def test_claims_are_judged_on_ours_too():
    numbers = reproduced(as_printed(), "table5_auroc_mstc")
    assert judge(CLAIMS["table5_range"], numbers).verdict == "holds"
    assert judge(CLAIMS["table5_all_scenes"], numbers).breaking == ON_PRINT["table5_all_scenes"].breaking


def shifted(by):
    """Return evidence in which CAVGA lies above γ-VAE_g in `by` of twelve scenes, by other sizes than in print."""

    def answer(_, scene, method, __):
        return measured(0.5 if method == "gamma_vae_g" else 0.9 if int(scene) <= by else 0.4)

    return answer


@pytest.mark.parametrize(("by", "verdict"), [(8, "holds"), (12, "holds"), (7, "fails")])
def test_a_printed_range_is_judged_on_ours_by_count_and_sign(by, verdict):
    found = judge(CLAIMS["table5_range"], reproduced(shifted(by), "table5_auroc_mstc"))
    assert found.verdict == verdict
    assert found.detail[0] == f"cavga_d_u: above at {by} of 12, by 80 % (01) to 80 % (01)"


def test_missing_numbers_leave_open_only_what_they_could_change():
    eight = CLAIMS["table5_eight_of_twelve"]
    assert judge(eight, reproduced(as_printed(missing=("01", "02")), "table5_auroc_mstc")).verdict == "holds"
    open_ = judge(eight, reproduced(as_printed(missing=("03",)), "table5_auroc_mstc"))
    assert open_.verdict == "cannot be judged"
    assert open_.missing[0] == "table5_auroc_mstc, cavga_d_u at 03: unavailable: no archive"
    assert judge(eight, reproduced(lambda *_: measured(0.5), "table5_auroc_mstc")).verdict == "fails"
    all_scenes = judge(CLAIMS["table5_all_scenes"], reproduced(as_printed(missing=("01",)), "table5_auroc_mstc"))
    assert all_scenes.verdict == "fails", "scene 08 breaks it, whatever scene 01 says"
    gap = judge(CLAIMS["table5_range"], reproduced(as_printed(missing=("12",)), "table5_auroc_mstc"))
    assert (gap.verdict, len(gap.missing)) == ("cannot be judged", 3)


def test_differences_that_do_not_print_are_ties():
    answer = lambda _, __, method, ___: measured(0.5004 if method == "cavga_r_w" else 0.5)  # noqa: E731 - one line
    assert judge(CLAIMS["table5_all_scenes"], reproduced(answer, "table5_auroc_mstc")).verdict == "fails"


def test_stand_ins_and_tables_not_built_cannot_be_judged():
    numbers = reproduced(lambda *_: measured(0.5), "table3_iou", stand_ins={"mvtec_ad": "demo_textures"})
    verdict = judge(CLAIMS["table3_mean"], numbers)
    assert verdict.verdict == "cannot be judged"
    assert verdict.missing == ["table3_iou: other data than the paper's: DEMO TEXTURES"]
    assert judge(CLAIMS["table3_mean"], ReproducedNumbers({})).missing == ["table3_iou: not built"]


@pytest.mark.parametrize(
    ("name", "first", "why"),
    [
        (
            "table1_insensitive",
            "cavga_r_u@0.2: mean 0.41 against 0.41 (cavga_r_u@0.2) to 0.47 (cavga_r_u@0.5)",
            "0.06 IoU",
        ),
        ("table7_comparable", "cavga_d: training 3 against 1.5 (ocgan) to 4 (lsa)", "how much longer is comparable"),
    ],
)
def test_what_would_hold_by_the_choice_of_a_tolerance_is_shown_and_not_judged(name, first, why):
    verdict = ON_PRINT[name]
    assert (verdict.verdict, verdict.detail[0]) == ("cannot be judged", first)
    assert why in verdict.missing[0]
    assert judge(CLAIMS[name], reproduced(lambda *_: measured(0.5), *CLAIMS[name].tables)).verdict == "cannot be judged"


def test_no_tolerance_equals_its_own_printed_gap():
    for claim in CLAIMS.values():
        for check in claim.check:
            if check.relation == "near":
                value = lambda name: PublishedNumbers().value(check.table, name, check.positions[0])  # noqa: B023, E731 - used here
                gaps = {round(abs(value(a) - value(b)), 6) for a in check.left for b in check.right}
                assert check.amount not in gaps, claim.id
                assert max(gaps) < check.amount


def test_a_claims_file_is_closed(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text("[{id: a, quotation: q, place: p, check: [{table: t, left: [a], right: [b], python: 'exit()'}]}]")
    with pytest.raises(ConfigError, match=r"claims.yaml: 0.check.0: .*'relation'|unknown key 'python'"):
        load_claims(path)


@pytest.mark.parametrize(
    "values", [([1, 2, 3], [3, 1, 2]), ([0.1, 0.1, 0.5, 0.4], [1, 2, 2, 0]), ([1, 2, 3], [1, 2, 3])]
)
def test_spearman_equals_scipys(values):
    assert spearman(*values) == pytest.approx(spearmanr(*values).statistic)


def test_spearman_says_when_it_cannot_say():
    assert spearman([1, 2], [1, 2]) is None
    assert spearman([1, 1, 1], [1, 2, 3]) is None
    with pytest.raises(ValueError, match="3 values against 2"):
        spearman([1, 2, 3], [1, 2])


def test_the_order_tells_which_protocol_the_print_followed():
    published = read_published("table6_auroc_fashion_mnist.csv")

    def answer(dataset, category, method, _):
        value = published.value(method, category)
        return measured(value if dataset.endswith("leave_one_out") else 1 - value)

    table = aggregate(records_of(FakePlan(answer)), load_table("table6_auroc_fashion_mnist"))
    found = {line["series"]: line for line in order_of_positions(table)}
    assert found["beta_vae"]["spearman"] == pytest.approx(1.0)
    assert found["beta_vae"]["distance"] == 0.0
    assert found["beta_vae@one_class"]["against"] == "beta_vae"
    assert found["beta_vae@one_class"]["spearman"] == pytest.approx(-1.0)
    ranks = {line["position"]: line for line in order_of_methods(table)}
    assert ranks["0"]["pairs"] == 6


def audited(folder, **protocol):
    plan = FakePlan(lambda *_: measured(0.5), protocol=protocol)
    for name in ("table5_auroc_mstc", "table2_auroc_mnist_cifar10", "table7_hours"):
        write_json(aggregate(records_of(plan), load_table(name)), folder / f"{name}.json")
    return audit(read_tables(folder))


def test_the_whole_audit_from_a_results_folder(tmp_path):
    found = audited(tmp_path, id="paper", title="paper protocol")
    assert set(found["agreement"]) == {"table5_auroc_mstc", "table2_auroc_mnist_cifar10", "table7_hours"}
    assert len(found["claims"]) == len(CLAIMS)
    assert found["not_judged"] is None
    verdicts = {claim["id"]: claim["reproduced"]["verdict"] for claim in found["claims"]}
    assert verdicts["table5_all_scenes"] == "fails"
    assert verdicts["table3_mean"] == "cannot be judged"


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"images_seen": 1280}, "lite protocol, a small part of the paper's training"),
        ({"batch_size": 8}, "lite protocol, not the paper's protocol"),
    ],
)
def test_only_the_papers_protocol_judges_its_claims(limits, why, tmp_path):
    found = audited(tmp_path, limits=limits)
    assert found["not_judged"] == why
    assert {claim["reproduced"]["verdict"] for claim in found["claims"]} == {"not judged"}
    assert not any(claim["reproduced"]["breaking"] for claim in found["claims"])
    assert {claim["id"]: claim["published"]["verdict"] for claim in found["claims"]} == {
        name: verdict.verdict for name, verdict in ON_PRINT.items()
    }
