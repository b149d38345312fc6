"""Figures: the rule that chooses images, what is shown where something is missing, files that repeat byte for byte."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from harness.config import load_methods
from harness.errors import ConfigError
from harness.figures import plots
from harness.figures.draw import build, draw, save, with_pictures, without_pictures
from harness.figures.panels import SIDE, Line, Panel
from harness.figures.plots import plot
from harness.figures.series import Curve, loss_curves
from harness.figures.spec import figure_ids, load_figure, required_cells, shown_categories
from harness.paths import ROOT
from harness.records import overlay
from harness.records.choose import choose
from harness.records.overlays import decoded
from harness.records.plan import Plan
from harness.records.reading import read_record
from harness.records.record import ImageRow
from harness.records.status import Status
from harness.tables.aggregate import aggregate, write_json
from harness.tables.built import read_tables
from harness.tables.cells import Evidence
from harness.tables.layout import required_cells as table_cells
from harness.tables.spec import load_table, table_ids
from tests import world
from tests.unit.fake_plan import FakePlan, measured, records_of


def rows(*ious):
    return [ImageRow(f"{n}.png", "cut", True, 0.0, iou) for n, iou in enumerate(ious)]


def test_one_image_is_the_lower_median_and_ties_go_by_name():
    assert choose(rows(0.9, 0.1, 0.5), 1) == ["2.png"]
    assert choose(rows(0.4, 0.3, 0.2, 0.1), 1) == ["2.png"]
    assert choose(rows(0.5, 0.5, 0.5), 1) == ["1.png"]


def test_several_images_are_spread_over_the_order():
    assert choose(rows(*(n / 10 for n in range(10))), 2) == ["2.png", "7.png"]
    assert choose(rows(0.1, 0.2), 6) == ["0.png", "1.png"]


def test_normal_ungraded_and_excluded_images_are_never_chosen():
    images = [*rows(0.1, 0.2, 0.3), ImageRow("good", "good", False, 0.0, None)]
    assert choose(images, 9, frozenset({"1.png"})) == ["0.png", "2.png"]


def test_the_parts_of_a_dataset_hold_every_category_once():
    plan = Plan.load("paper")
    for dataset in ("mvtec_ad", "mstc", "lag"):
        specs = [load_figure(name) for name in figure_ids()]
        shown = [c for s in specs if s["dataset"] == dataset for c in shown_categories(plan, s)]
        assert shown == list(plan.categories(dataset))


@pytest.mark.parametrize("name", figure_ids())
def test_a_figure_shows_only_what_tables_measure_anyway(name):
    plan = Plan.load("paper")
    measured = {cell for t in table_ids() for cell in table_cells(plan, load_table(t))}
    assert set(required_cells(plan, load_figure(name))) <= measured


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"part": 5}, "part 5 of 4 parts"),
        ({"choose_by": "nobody"}, "choose_by 'nobody' is none of its methods"),
    ],
)
def test_mistakes_in_a_figure_are_named(change, message, tmp_path):
    spec = load_figure("fig2_mvtad") | change
    (tmp_path / "fig2_mvtad.yaml").write_text(yaml.safe_dump(spec))
    with pytest.raises(ConfigError, match=message):
        load_figure("fig2_mvtad", tmp_path)


def test_the_map_is_red_where_it_is_strong_and_outlined_at_the_threshold():
    grey = np.full((8, 8, 1), 100, np.uint8)
    codes = np.zeros((8, 8), np.uint16)
    codes[:, 4:] = 60000
    shown = overlay.overlay(grey, codes, (0, 60000), 30000, 8)
    assert (shown[:, 0] == 100).all()
    assert (shown[:, 4] == 255).all()
    assert shown[4, 7, 0] > 190
    assert shown[4, 7, 1] < 50


@pytest.fixture(scope="module")
def demo_world(tmp_path_factory):
    """One category with some methods measured, one failed and the rest missing."""
    folder, before = tmp_path_factory.mktemp("figures"), Path.cwd()
    os.chdir(folder)
    plan = Plan.load("demo")
    spec = load_figure("fig3_mvtad")
    category = shown_categories(plan, spec)[0]
    places = [("mvtec_ad", category, method) for method in ("ae_l2", "avid", "cavga_r_u", "cavga_r_w")]
    world.build(plan, places, failed=frozenset({(category, "avid")}))
    yield plan, spec, folder
    os.chdir(before)


def test_a_figure_is_drawn_twice_to_the_same_bytes_and_says_what_is_missing(demo_world):
    plan, spec, folder = demo_world
    content = build(plan, spec, folder / "a")
    build(Plan.load("demo"), spec, folder / "b")
    for form in ("pdf", "png", "json"):
        first, second = ((folder / side / f"{spec['id']}.{form}").read_bytes() for side in "ab")
        assert first == second
        assert b"CreationDate" not in first
    assert len(content["images"]) == spec["images"]
    for image in content["images"]:
        assert image["missing"]["avid"] == "failed: loss is not finite at step 3"
        assert image["missing"]["lsa"] == "not measured: no record yet"
        assert set(image["iou"]) == {"ae_l2", "cavga_r_u", "cavga_r_w"}
    assert "stand-in for MVTec AD" in content["caption"]
    assert "Demo protocol" in content["caption"]
    assert "Trained on far fewer images than under the paper's protocol" in content["data"], "the picture's own foot"
    assert content["data"] in content["caption"]
    shown = ", ".join(image["id"] for image in content["images"])
    assert content["caption"].endswith(f"Images, from the top: {content['images'][0]['category']}: {shown}.")


def test_a_picture_leaves_out_methods_and_categories_without_one_and_names_them():
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    bare = Panel(None, "not measured")
    found = [
        Line("Bottle", "0.png", None, [bare, bare, Panel(picture, None, 0.5), bare]),
        Line("Bottle", "1.png", None, [bare, bare, Panel(picture, None, 0.2), bare]),
        Line("Cable", None, None, [bare] * 4),
    ]
    kept, lines, out = with_pictures(found, ["input", "ground truth", "VM", "LSA"])
    assert kept == [2]
    assert [(line.image_id, [panel.iou for panel in line.panels]) for line in lines] == [
        ("0.png", [0.5]),
        ("1.png", [0.2]),
    ]
    assert out == " Left out, for there is nothing to show: LSA, Cable."
    drawn = [text.get_text() for text in draw(["VM"], lines, "foot").axes[0].texts]
    assert drawn == ["VM", "Bottle", "IoU 0.50", "IoU 0.20"]
    everything = [Line("Bottle", "0.png", "m", [Panel(picture)] * 4)]
    assert with_pictures(everything, ["input", "ground truth", "VM", "LSA"]) == ([0, 1, 2, 3], everything, "")


def test_the_readmes_picture_is_a_file_that_the_verb_reads():
    path = ROOT / "docs" / "img" / "fig_bottle.yaml"
    spec = load_figure(str(path))
    plan = Plan.load("lite")
    assert shown_categories(plan, spec) == ["bottle"]
    assert "docs/img/fig_bottle.png" in (ROOT / "README.md").read_text()
    assert path.with_suffix(".png").is_file()
    with pytest.raises(ConfigError, match="unknown figure"):
        load_figure("docs/img/nowhere.yaml")


def test_plots_say_their_protocol_and_repeat(demo_world, tmp_path):
    plan, _, folder = demo_world
    results = folder / "results"
    for name in ("table1_threshold", "table3_iou"):
        write_json(aggregate(Evidence(plan), load_table(name)), results / f"{name}.json")
    for name in ("plot_table3_iou", "plot_thresholds", "plot_training"):
        for side in "ab":
            figure = plot(name, results)
            save(figure, tmp_path / side / name)
        texts = [text.get_text().replace("\n", " ") for text in figure.texts]
        assert any("Demo protocol. Other data than the paper's: stand-in for MVTec AD" in text for text in texts), name
        assert any("Trained on far fewer images than under the paper's protocol" in text for text in texts), name
        for form in ("pdf", "png"):
            assert (tmp_path / f"a/{name}.{form}").read_bytes() == (tmp_path / f"b/{name}.{form}").read_bytes()


def test_images_that_a_method_was_trained_on_are_not_shown(demo_world, tmp_path):
    plan, spec, _ = demo_world
    cell = plan.cell("mvtec_ad", shown_categories(plan, spec)[0], "cavga_r_w", 0)
    manifest = json.loads((plan.truth_folder(cell) / "manifest.json").read_text())
    trained = set(world.prepared(plan, cell).test_images["id"][manifest["weak"]["0"]])
    content = build(plan, spec, tmp_path)
    assert trained
    assert not trained & {image["id"] for image in content["images"]}


def test_a_figure_without_any_data_is_drawn_with_reasons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content = build(Plan.load("lite"), load_figure("fig1_lag"), tmp_path)
    assert all(set(image["missing"]) == {"input", "ground truth", "cavga_d_u"} for image in content["images"])
    assert (tmp_path / "fig1_lag.pdf").stat().st_size > 1000
    text = without_pictures(content)
    assert re.fullmatch(r"Fig\. 1 \(.*\) shows no map under the lite protocol: .*\.", text)
    with Image.open(tmp_path / "fig1_lag.png") as picture:
        assert picture.height < picture.width / 5, "a sentence, not grey tiles"


def test_records_carry_the_same_four_small_pictures_for_every_method(demo_world):
    plan, spec, _ = demo_world
    category = shown_categories(plan, spec)[0]
    cells = [plan.cell("mvtec_ad", category, method, 0) for method in ("ae_l2", "cavga_r_u", "cavga_r_w")]
    pictures = [read_record(plan.work / "records" / cell.record).overlays for cell in cells]
    assert len(pictures[0]) == 4
    assert [p.image for p in pictures[0]] == [p.image for p in pictures[1]] == [p.image for p in pictures[2]]
    truth = world.prepared(plan, cells[0])
    places = [list(truth.test_images["id"]).index(p.image) for p in pictures[0]]
    areas = [int(truth.masks[place].sum()) for place in places]
    assert areas == sorted(areas)
    assert areas[0] > 0
    assert not set(places) & set(truth.manifest.weak_left_out["0"])
    image = decoded(pictures[1][0].picture, 96)
    assert image.shape == (96, 96, 3)
    assert all(len(p.picture) < 6000 for p in pictures[1])


def test_without_the_data_a_figure_shows_what_its_records_carry(demo_world, tmp_path, monkeypatch):
    plan, spec, _ = demo_world
    monkeypatch.setattr(type(plan), "truth_folder", lambda *_: tmp_path / "gone")
    content = build(plan, spec, tmp_path)
    assert [image["id"] is not None for image in content["images"]] == [True] * spec["images"]
    assert set(content["images"][0]["iou"]) == {"ae_l2", "cavga_r_u", "cavga_r_w"}
    assert set(content["images"][0]["missing"]) >= {"input", "ground truth", "avid"}
    assert content["rule"].startswith("Pictures that the records carry")


def test_a_method_without_its_maps_shows_what_its_record_carries_beside_the_maps_of_others(demo_world, tmp_path):
    plan, spec, _ = demo_world
    cell = plan.cell("mvtec_ad", shown_categories(plan, spec)[0], "cavga_r_w", 0)
    maps = plan.maps(cell)
    maps.rename(tmp_path / "maps")
    try:
        content = build(plan, spec, tmp_path)
    finally:
        (tmp_path / "maps").rename(maps)
    record = read_record(plan.work / "records" / cell.record)
    carried = {picture.image for picture in record.overlays}
    assert {image["id"] for image in content["images"]} <= carried, "images of which it has a picture"
    for image in content["images"]:
        assert set(image["iou"]) == {"ae_l2", "cavga_r_u", "cavga_r_w"}
        assert not {"input", "ground truth"} & set(image["missing"]), "the data are here"
    assert content["rule"].startswith("Pictures that the records carry")
    assert build(plan, spec, tmp_path)["rule"].startswith("Per category"), "with all maps the rule chooses"


def test_training_curves_come_with_the_records_and_mark_the_budget(demo_world, tmp_path):
    plan, _, folder = demo_world
    write_json(aggregate(Evidence(plan), load_table("table3_iou")), tmp_path / "table3_iou.json")
    curves = loss_curves(read_tables(tmp_path), folder)
    assert len(curves) == 3
    assert all(curve.x[-1] == 40 for panel in curves.values() for curve in panel)
    figure = plot("plot_training", tmp_path)
    for axis in figure.axes:
        assert [text.get_text() for text in axis.texts] == ["budget"]
        assert axis.get_xlim()[1] > 40


def test_panels_against_the_threshold_share_their_axes_and_clip_nothing(tmp_path, monkeypatch):
    curves = {name: [Curve(name, [0.0, 0.5, 1.0], [0.1, top, 0.2])] for name, top in (("A", 0.3), ("B", 0.9))}
    monkeypatch.setitem(plots.SMALL, "plot_thresholds", ("threshold", "IoU", lambda _: curves, "empty"))
    axes = plot("plot_thresholds", tmp_path).axes
    assert len({(axis.get_xlim(), axis.get_ylim()) for axis in axes}) == 1
    assert axes[0].get_ylim()[1] > 0.9
    assert not any(line.get_clip_on() for axis in axes for line in axis.lines)


def test_published_and_reproduced_are_joined_by_a_line_and_both_seen():
    answer = lambda _, category, __, ___: measured(0.5) if category == "bottle" else Status("not_measured", "none")  # noqa: E731
    axes = plots.bars(aggregate(records_of(FakePlan(answer)), load_table("table3_iou"))).axes
    kinds = [(line.get_marker(), line.get_color()) for line in axes[0].lines[:3]]
    assert [marker for marker, _ in kinds] == ["None", "o", "o"]
    assert len({colour for _, colour in kinds}) == 3
    assert len({axis.get_xlim() for axis in axes}) == 1


def test_a_plot_shows_the_papers_methods_first_the_seeds_as_a_bar_and_names_what_it_leaves_out():
    def answer(_, category, method, seed):
        known = category == "bottle" and method in ("avid", "cavga_r_u")
        return measured(0.5 + 0.1 * seed * (method == "cavga_r_u")) if known else Status("not_measured", "none")

    made = FakePlan(answer, seeds=(0, 1, 2))
    made.methods |= load_methods()
    figure = plots.bars(aggregate(records_of(made), load_table("table3_iou")))
    assert [axis.get_title() for axis in figure.axes] == ["CAVGA-R$_u$", "AVID"]
    bar = next(line for line in figure.axes[0].lines if line.get_alpha())
    assert list(bar.get_xdata()) == pytest.approx([0.5, 0.7])
    texts = " ".join(text.get_text().replace("\n", " ") for text in figure.texts)
    assert "Bar: from the lowest to the highest of 3 seeds." in texts
    assert "no number is reproduced: CAVGA-D_u" in texts
    nothing = plots.bars(
        aggregate(records_of(FakePlan(lambda *_: Status("not_measured", "none"))), load_table("table3_iou"))
    )
    assert not nothing.axes
    assert "no number is reproduced under the" in nothing.texts[0].get_text().replace("\n", " ")


def test_a_loss_below_zero_stays_in_its_panel(tmp_path, monkeypatch):
    curves = {"A\nB": [Curve("x", [1, 2, 3], [1.0, -5.0, -9.0])]}
    monkeypatch.setitem(plots.SMALL, "plot_training", ("step", "loss", lambda _: curves, "empty"))
    low, high = plot("plot_training", tmp_path).axes[0].get_ylim()
    assert low < -9 < 1 < high


def test_every_key_of_the_figure_schema_is_used():
    schema = yaml.safe_load((ROOT / "workflow" / "schemas" / "figure.schema.yaml").read_text())
    code = "".join(path.read_text() for path in (ROOT / "harness" / "figures").glob("*.py"))
    assert [key for key in schema["properties"] if f'"{key}"' not in code] == []


@pytest.mark.latex
def test_tables_pdf_repeats_and_a_missing_pdflatex_is_one_line(tmp_path, monkeypatch):
    from harness.errors import UserError
    from harness.tables.document import compile_document

    monkeypatch.chdir(tmp_path)
    tables = [aggregate(Evidence(Plan.load("demo")), load_table(name)) for name in ("table3_iou", "table9_cavga_r")]
    first = compile_document(tables, tmp_path / "a.pdf").read_bytes()
    assert compile_document(tables, tmp_path / "b.pdf").read_bytes() == first
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(UserError, match=r"c.pdf: pdflatex is not installed; on Debian"):
        compile_document(tables, tmp_path / "c.pdf")
    assert not (tmp_path / "c.pdf").exists()
