"""Every table of tables/: it fits its published numbers, each of its keys matters, mistakes are named."""

from __future__ import annotations

import copy
import random
from functools import cache

import pytest
import yaml

from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records.record import Cost
from harness.records.status import Status
from harness.tables import spec as spec_module
from harness.tables.aggregate import aggregate
from harness.tables.layout import required_cells
from harness.tables.published import read_published
from harness.tables.render import to_text
from harness.tables.spec import LayerSpec, load_table, table_ids
from harness.tables.yardsticks import TITLES
from tests.unit.fake_plan import CATEGORIES, FakePlan, measured, records_of

NUMBERS = [name for name in table_ids() if not isinstance(load_table(name), LayerSpec)]
PRINTED = [name for name in NUMBERS if load_table(name).published and load_table(name).paper != "ours"]


YARDSTICKS = {name: {"iou": 0.01, "pixel_auroc": 0.02} for name in TITLES}


@cache
def different_everywhere(dataset, category, method, seed):
    draw = random.Random(f"{dataset}{category}{method}{seed}")
    names = ("iou", "iou_per_image", "pro", "class_accuracy", "accuracy")
    policies = ("fixed:0.2", "fixed:0.3", "fixed:0.4", "fixed:0.5", "fixed:0.6", "normal_validation", "best_on_test")
    values = {(name, policy): draw.random() for name in names for policy in policies}
    values |= {(name, None): draw.random() for name in ("pixel_auroc", "image_auroc")}
    return measured(0.5, measures=values, fit=Cost(3600 * draw.random(), 0), yardsticks=YARDSTICKS)


def build(spec, **plan):
    return aggregate(records_of(FakePlan(different_everywhere, **plan)), spec)


def test_all_tables_of_the_paper_are_there():
    wanted = {f"table{i}" for i in range(1, 11)} | {f"main_table{i}" for i in range(3, 8)}
    printed = [name for name in table_ids() if load_table(name).paper != "ours"]
    found = {name.split("_")[0] if not name.startswith("main") else "_".join(name.split("_")[:2]) for name in printed}
    assert found == wanted


@pytest.mark.parametrize("name", PRINTED)
def test_every_printed_number_has_its_cell_and_no_other(name):
    spec = load_table(name)
    table = build(spec)
    published = {key: v for key, v in read_published(spec.published, spec.methods).numbers.items() if v is not None}
    shown = {(s.id, p.id): cell.published for s, p, cell in table.by_series() if cell.published is not None}
    assert shown == published


@pytest.mark.parametrize("name", NUMBERS)
def test_the_table_asks_for_just_the_cells_that_it_needs(name):
    asked = []
    plan = FakePlan(lambda *key: asked.append(key[:3]) or different_everywhere(*key))
    aggregate(records_of(plan), load_table(name))
    needed = required_cells(plan, load_table(name))
    assert len(needed) == len(set(needed))
    assert set(asked) == set(needed)


def leaves(content, path=()):
    """Yield the path of every key and every plain value of a description."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield (*path, key)
            yield from leaves(value, (*path, key))
    elif isinstance(content, list):
        for i, value in enumerate(content):
            yield from leaves(value, (*path, i))


def every_key():
    """Return one place for each distinct key path of each kind of table (list indices left out)."""
    seen = {}
    for name in NUMBERS:
        raw = yaml.safe_load((ROOT / "tables" / f"{name}.yaml").read_text())
        for path in leaves(raw):
            pattern = tuple("*" if isinstance(step, int) else step for step in path)
            if len(pattern) > 1 and pattern[0] in {"footnotes", "published_footnotes", "class_protocols"}:
                pattern = (pattern[0], "*")
            seen.setdefault((raw["kind"], pattern), (name, path))
    return sorted(seen.values(), key=str)


def shown(spec):
    table = build(spec)
    return to_text(table, "html") + to_text(table, "csv") + f"on request: {spec.on_request}"


@cache
def shown_as_it_is(name):
    return shown(load_table(name))


def load_changed(name, path, change, tmp_path, monkeypatch):
    raw = copy.deepcopy(yaml.safe_load((ROOT / "tables" / f"{name}.yaml").read_text()))
    holder = raw
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    # Only what the code itself reads counts here: the schema would refuse a change that nobody reads.
    monkeypatch.setattr(spec_module, "validate", lambda *_: None)
    return load_table(name, tmp_path)


def without(holder, key):
    del holder[key]


def replaced(holder, key):
    old = holder[key]
    holder[key] = old + 1 if isinstance(old, int) else old + "x" if isinstance(old, str) else []


@pytest.mark.parametrize(("name", "path"), every_key(), ids=str)
def test_every_key_of_a_table_is_read(name, path, tmp_path, monkeypatch):
    plain = shown_as_it_is(name)
    for change in (without, replaced):
        try:
            if shown(load_changed(name, path, change, tmp_path, monkeypatch)) != plain:
                return
        except (ConfigError, KeyError, TypeError, AttributeError):
            return
    pytest.fail(f"tables/{name}.yaml: nothing reads {'.'.join(map(str, path))}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(colour="red"), "unknown key 'colour'"),
        (lambda t: t.update(measure="ioo"), "unknown measure 'ioo'; known: pixel_auroc"),
        (lambda t: t.update(id="other"), "id is 'other' but must equal the file's name"),
        (lambda t: t["columns"].append({"method": "avid"}), r"\['avid'\] listed twice"),
        (lambda t: t["footnotes"].update(more="text"), r"footnotes \['more'\] are either not written or not used"),
        (lambda t: t.pop("dataset"), "'dataset' is a required property"),
        (lambda t: t["columns"][0].update(policy="fixed"), "policy: 'fixed' does not match"),
    ],
)
def test_a_mistake_in_a_table_is_named(change, message, tmp_path):
    raw = yaml.safe_load((ROOT / "tables" / "table3_iou.yaml").read_text())
    change(raw)
    (tmp_path / "table3_iou.yaml").write_text(yaml.safe_dump(raw))
    with pytest.raises(ConfigError, match=message) as caught:
        load_table("table3_iou", tmp_path)
    assert "table3_iou.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_tables_and_methods_are_named():
    with pytest.raises(ConfigError, match="unknown table 'table99'; known: table1_threshold, table2"):
        load_table("table99")
    plan = FakePlan(different_everywhere)
    plan.methods = {"avid": {}}
    with pytest.raises(ConfigError, match=r"tables/table3_iou.yaml: unknown method 'ae_ssim'"):
        aggregate(records_of(plan), load_table("table3_iou"))


def cells(table, row):
    return {c.id: cell for r, c, cell in table.by_row() if r.id == row}


def test_table1_reads_one_method_at_five_thresholds():
    table = build(load_table("table1_threshold"))
    row = cells(table, "bottle")
    assert [row[f"cavga_r_u@0.{i}"].policy for i in range(2, 7)] == [f"fixed:0.{i}" for i in range(2, 7)]
    assert len({row[f"cavga_r_u@0.{i}"].reproduced for i in range(2, 7)}) == 5


def test_table2_shows_both_protocols_and_ranks_them_apart():
    table = build(load_table("table2_auroc_mnist_cifar10"))
    datasets = {row.id: row.dataset for row in table.rows}
    assert datasets["mnist/beta_vae"] == "mnist_leave_one_out"
    assert datasets["mnist/beta_vae@one_class"] == "mnist"
    assert cells(table, "mnist/beta_vae@one_class")["0"].published is None
    for column in range(11):
        for dataset in set(datasets.values()):
            ranks = [table.cells[r][column].rank for r, row in enumerate(table.rows) if row.dataset == dataset]
            assert sorted(ranks) == [1, 2]


def test_table6_marks_the_reverse_protocol():
    table = build(load_table("table6_auroc_fashion_mnist"))
    heads = {column.id: column for column in table.columns}
    groups = [column.group for column in table.columns]
    assert groups == ["one class"] * 6 + ["leave one out"] * 6, "each block has its own ranking"
    assert heads["capsnet_re"].dataset == "fashion_mnist_leave_one_out"
    assert (heads["capsnet_pp"].footnotes, heads["capsnet_re"].footnotes) == (("a",), ("b",))
    assert heads["capsnet_re@one_class"].published_as == "capsnet_re"


def test_table7_sums_hours_ranks_the_fewest_first_and_names_the_machine():
    table = build(load_table("table7_hours"))
    row = cells(table, "training")
    total = sum(
        different_everywhere("mvtec_ad", c, "avid", 0).record.fit.seconds / 3600 for c in CATEGORIES["mvtec_ad"]
    )
    assert row["avid"].reproduced == pytest.approx(total)
    fewest = min(row.values(), key=lambda cell: cell.reproduced)
    assert fewest.rank == 1
    assert table.machines == ("Some CPU, 2 cores, 1 thread, 8 GiB",)
    assert "Times were measured on Some CPU, 2 cores, 1 thread, 8 GiB." in table.notes


def test_table7_sums_no_hours_where_a_category_is_missing():
    def answer(dataset, category, method, seed):
        gone = (category, method) == ("zipper", "avid")
        return Status("failed", "killed") if gone else different_everywhere(dataset, category, method, seed)

    row = cells(aggregate(records_of(FakePlan(answer)), load_table("table7_hours")), "training")
    assert (row["avid"].reproduced, row["avid"].rank, row["avid"].count) == (None, None, (14, 15))
    assert sorted(cell.rank for name, cell in row.items() if name != "avid") == [1, 2, 3, 4, 5, 6, 7, 8]


def test_footnotes_on_print_stand_only_beside_print():
    spec = load_table("table3_iou")
    beside, alone = build(spec), build(spec, stand_ins={"mvtec_ad": "demo_textures"})
    assert [note.mark for note in beside.footnotes] == ["†", "a", "b", "c", "d", "e"]
    assert [(note.mark, note.text.split()[0]) for note in alone.footnotes] == [("†", "Oracle:"), ("a", "Only")]
    marks = {column.id: column.footnotes for column in alone.columns}
    assert (marks["ae_ssim"], marks["ti"]) == ((), ("a",))


def test_tables_stand_in_the_papers_order():
    assert table_ids()[8:11] == ["table9_cavga_r", "table10_cavga_d", "main_table3_iou_mvtad"]


def test_main_table5_keeps_what_is_only_printed():
    row = cells(build(load_table("main_table5_lag")), "iou")
    assert (row["patho_gan"].state, row["patho_gan"].published) == ("not_applicable", 0.37)
    assert "glaucoma labels" in row["patho_gan"].reason
    assert row["cavga_d_u"].reproduced is not None


def test_main_table3_prints_the_mean_auroc_below_the_mean_iou():
    table = build(load_table("main_table3_iou_mvtad"))
    found = cells(table, "mean_auroc")["avid"]
    assert (found.measure, found.published, found.count) == ("pixel_auroc", 0.78, (15, 15))
