"""Table 3 from evidence to files: numbers beside the paper's, holes, shading, the three views."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from dataclasses import replace

import pytest

from harness.errors import UserError
from harness.metrics.results import Measured
from harness.records.status import Status
from harness.tables.aggregate import aggregate, write_json
from harness.tables.render import read_table, render, to_text
from harness.tables.spec import load_table
from harness.tables.table import SCHEMA, to_json
from harness.tables.view import Options
from tests.unit.fake_plan import CATEGORIES, POLICIES, FakePlan, measured, record, records_of

SPEC = load_table("table3_iou")
THREE = ("bottle", "pill", "zipper")


def build(answer, **plan):
    return aggregate(records_of(FakePlan(answer, **plan)), SPEC)


def cell(table, row, column):
    return next(found for r, c, found in table.by_row() if (r.id, c.id) == (row, column))


def number(category, method):
    return random.Random(f"{category}{method}").random()


@pytest.fixture(scope="module")
def full():
    return build(lambda _, category, method, __: measured(number(category, method)))


def test_rows_and_columns_stand_in_printed_order(full):
    assert [row.id for row in full.rows][:3] == ["bottle", "hazelnut", "capsule"]
    assert full.rows[-1].id == "mean"
    assert [column.id for column in full.columns][-4:] == ["cavga_d_u", "cavga_r_u", "cavga_d_w", "cavga_r_w"]


def test_cells_hold_ours_the_papers_and_the_difference(full):
    found = cell(full, "bottle", "cavga_r_u")
    assert (found.reproduced, found.published) == (number("bottle", "cavga_r_u"), 0.34)
    assert found.difference == pytest.approx(number("bottle", "cavga_r_u") - 0.34)
    assert cell(full, "mean", "ae_ssim").published == 0.22, "as printed, though the cells give 0.19"


def test_the_mean_is_over_all_fifteen(full):
    found = cell(full, "mean", "avid")
    assert found.count == (15, 15)
    assert found.reproduced == pytest.approx(sum(number(c, "avid") for c in CATEGORIES["mvtec_ad"]) / 15)


def test_ranks_follow_the_printed_digits_with_ties_equal():
    values = {"avid": 0.501, "ae_ssim": 0.499, "lsa": 0.2}
    table = build(lambda _, __, method, ___: measured(values.get(method, 0.1)))
    ranks = [cell(table, "bottle", method).rank for method in ("avid", "ae_ssim", "lsa", "vm")]
    assert ranks == [1, 1, 3, 4]


def test_only_bottle_measured_prints_one_of_fifteen():
    gone = Status("unavailable", "mvtec_ad: not here")
    table = build(lambda _, category, *__: measured(0.4) if category == "bottle" else gone)
    found = cell(table, "mean", "cavga_r_u")
    assert (found.reproduced, found.count, found.published) == (None, (1, 15), 0.47)
    assert table.missing[0].count == 14 * 14
    assert table.coverage["unavailable"] == 14 * 14


def test_a_stand_in_is_named_and_meets_no_printed_number():
    table = build(lambda *_: measured(0.4), stand_ins={"mvtec_ad": "demo_textures"})
    assert [row.id for row in table.rows] == ["brick", "grass", "gravel", "mean"]
    assert all(found.published is None for _, _, found in table.by_row())
    assert all(found.difference is None for _, _, found in table.by_row())
    assert "DEMO TEXTURES in place of MVTEC AD" in table.caption
    assert table.nearest_measure == ()
    for fmt in ("tex", "html"):
        text = to_text(table, fmt)
        assert "DEMO TEXTURES in place of MVTEC AD" in text
        assert "0.59" not in text, "the published mean of the last column"


def test_a_stand_in_that_says_itself_what_it_stands_for_is_not_named_twice():
    plan = FakePlan(lambda *_: Status("unavailable", "unavailable: gone"), stand_ins={"mvtec_ad": "demo_textures"})
    plan.datasets["demo_textures"] = replace(plan.datasets["demo_textures"], title="stand-in for MVTEC AD: photographs")
    table = aggregate(records_of(plan), SPEC)
    assert table.caption.endswith("Other data than the paper's: stand-in for MVTEC AD: photographs.")
    (group,) = table.missing[0].groups
    assert group.categories == ("demo_textures/brick", "demo_textures/grass", "demo_textures/gravel")
    assert table.missing[0].reason == "gone"


def test_budgets_in_epochs_are_among_the_images_seen():
    def answer(_, __, method, ___):
        epochs = {"epochs": 60, "samples_per_epoch": None, "images_seen": None}
        return measured(0.5, **({"training": epochs} if method.startswith("cavga") else {}))

    assert "Each training saw 540 to 6,000 images (with repetition)." in build(answer).notes


def test_oracles_carry_a_dagger_and_say_so(full):
    assert cell(full, "bottle", "advae").oracle
    assert not cell(full, "bottle", "avid").oracle
    column = next(head for head in full.columns if head.id == "advae")
    assert column.footnotes[0] == "†"
    assert full.footnotes[0].mark == "†"


def test_oracles_are_neither_ranked_nor_shaded_nor_bold():
    values = {"advae": 0.9, "avid": 0.5, "lsa": 0.4}
    table = build(lambda _, __, method, ___: measured(values.get(method, 0.1)))
    oracle, best = cell(table, "bottle", "advae"), cell(table, "bottle", "avid")
    assert (oracle.rank, oracle.ranked) == (None, 0)
    assert (best.rank, best.ranked) == (1, 13), "the oracle is not even counted"
    page = to_text(table, "html")
    found = re.search(r'<td class="([^"]*)"[^>]*title="Bottle, advae[^>]*>.*?</td>', page)
    assert found is not None
    assert " s" not in found[1]
    assert "<sup>†</sup>" in found[0]
    row = next(line for line in to_text(table, "tex").splitlines() if line.startswith("Bottle &"))
    assert "0.90$^{\\dagger}$" in row
    assert "cellcolor" not in row.split(" & ")[[head.id for head in table.columns].index("advae") + 1]
    assert "not ranked with others" in table.footnotes[0].text


def nearest(categories, pro=0.0, other=0.4):
    """Return what is nearest to the print of AE_L2 when per-region overlap is `pro` off it and the others `other`."""
    published = {c: cell(build(lambda *_: measured(0.0)), c, "ae_l2").published for c in categories}

    def answer(_, category, method, __):
        if category not in published:
            return Status("unavailable", "x")
        off = published[category] + other
        return measured(off, measures={("pro", "normal_validation"): published[category] + pro})

    table = build(answer)
    return table, next(entry for entry in table.nearest_measure if entry.column == "ae_l2")


def test_the_nearest_measure_is_found_over_the_measured_cells():
    _, line = nearest(THREE)
    assert (line.nearest, line.cells, line.distances["pro"]) == ("pro", 3, 0.0)
    assert nearest(THREE, other=0.01)[1].nearest == "pro", "a whole unit of the last digit"


@pytest.mark.parametrize(
    ("categories", "other"),
    [(THREE[:1], 0.4), (THREE[:2], 0.4), (THREE, 0.0), (THREE, 0.009)],
    ids=["one cell", "two cells", "a tie", "within the rounding"],
)
def test_few_cells_and_ties_do_not_tell_what_was_printed(categories, other):
    table, line = nearest(categories, other=other)
    assert line.nearest is None
    page = to_text(table, "html")
    section = page[page.index("What did the paper print?") :]
    assert "<td>cannot tell</td>" in section
    assert "<td>per-region overlap</td>" not in section


def test_csv_has_one_line_a_cell_with_full_numbers(full):
    lines = list(csv.DictReader(io.StringIO(to_text(full, "csv"))))
    assert len(lines) == 16 * 14
    first = lines[0]
    assert (first["row"], first["column"], first["state"]) == ("bottle", "avid", "measured")
    assert float(first["reproduced"]) == number("bottle", "avid")


def test_tex_shades_stacks_and_names_its_records(full):
    text = to_text(full, "tex")
    ranked = [column.id for column in full.columns if not cell(full, "bottle", column.id).oracle]
    best = max((number("bottle", name), name) for name in ranked)
    row = next(line for line in text.splitlines() if line.startswith("Bottle &"))
    darkest = re.search(r"\\cellcolor\[gray\]\{0\.72\}\\stacked\{([0-9.]+)", row)
    assert darkest is not None
    assert darkest[1] == f"{best[0]:.2f}"
    assert rf"\stacked{{{number('bottle', 'cavga_r_u'):.2f}\\\belowline{{0.34}}}}" in row
    assert "% bottle: work/records/" in text


def test_tex_prints_the_spread_when_asked():
    table = build(lambda *key: measured(0.4 + 0.02 * key[-1]), seeds=(0, 1))
    assert r"$\pm$ 0.01" in to_text(table, "tex", Options(spread=True))
    assert "Below the number: standard deviation over seeds" in to_text(table, "tex", Options(spread=True))
    assert r"$\pm$ 0.01" not in to_text(table, "tex")


def test_tex_prints_the_interval_of_one_seed_and_says_what_it_is():
    measures = tuple(Measured("iou", p, 0.5, 0.4, interval=(0.31, 0.52)) for p in POLICIES)
    content = replace(record(0.4), measures=measures)
    table = build(lambda *_: Status("measured", None, content, "work/records/r.json"))
    text = to_text(table, "tex", Options(spread=True))
    assert r"\belowline{0.31 to 0.52}" in text
    assert r"Below the number: 95 \% interval over test images" in text
    assert "0.31 to 0.52" not in to_text(table, "tex")


def test_html_shows_states_with_reasons_and_escapes():
    hostile = "<img src=x onerror=alert(1)>"
    table = build(lambda *_: Status("failed", f"NaN loss {hostile}"))
    text = to_text(table, "html")
    assert "<img" not in text
    assert 'title="Bottle, avid: failed: NaN loss &lt;img' in text
    assert '<b class="r">failed</b>' in text
    assert not re.search(r"(src|href)=[\"']?http", text)


def test_views_are_equal_bytes_for_equal_input(full, tmp_path):
    again = build(lambda _, category, method, __: measured(number(category, method)))
    for name, table in (("a", full), ("b", again)):
        write_json(table, tmp_path / name / "table3_iou.json")
        for fmt in ("csv", "tex", "html"):
            render(tmp_path / name / "table3_iou.json", fmt)
    for fmt in ("json", "csv", "tex", "html"):
        assert (tmp_path / f"a/table3_iou.{fmt}").read_bytes() == (tmp_path / f"b/table3_iou.{fmt}").read_bytes()
    assert read_table(tmp_path / "a/table3_iou.json") == full


def test_render_says_what_is_wrong(tmp_path):
    source = tmp_path / "x.json"
    with pytest.raises(UserError, match=r"x\.json: no such file; build it: snakemake"):
        render(source, "csv")
    source.write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        render(source, "csv")
    source.write_text("[]")
    with pytest.raises(UserError, match="not the JSON of a table"):
        render(source, "csv")
    source.write_text('{"schema": 1, "kind": "grid"}')
    with pytest.raises(UserError, match="another version"):
        render(source, "csv")
    source.write_text(json.dumps({"schema": SCHEMA, "kind": "numbers"}))
    with pytest.raises(UserError, match=r"x\.json: id: Field required; build it: snakemake"):
        render(source, "csv")
    source.write_text(to_json(build(lambda *_: measured(0.4))))
    with pytest.raises(UserError, match="unknown format 'pdf'"):
        render(source, "pdf")
