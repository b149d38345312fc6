"""From a number to its record and back; two folders of records; the archive of a table."""

import hashlib
import json
import subprocess
import zipfile
from importlib.resources import files

import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.metrics.results import Measured
from harness.records.plan import Plan
from harness.records.record import Hardware
from tests.records import build_table, edit, other_code, record_of, write

PLAN = Plan.load("lite", load_config({"evidence": "recorded", "data_root": None, "seeds": [0]}))
BOTTLE = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", 0)
CABLE = PLAN.cell("mvtec_ad", "cable", "cavga_r_u", 0)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CAVGA_CONFIG", '{"seeds": [0]}')  # lite measures some methods with several
    return tmp_path


@pytest.fixture
def table(here, monkeypatch):
    for cell, value in ((BOTTLE, 0.4), (CABLE, 0.6)):
        write(record_of(PLAN, cell, value), here / "records")
    return build_table(monkeypatch)


def trace(capsys, *words, status=0):
    assert main(["trace", *words]) == status
    captured = capsys.readouterr()
    return captured.err if status == 2 else captured.out


def test_trace_prints_the_chain_from_any_view(table, capsys):
    text = trace(capsys, str(table.with_suffix(".tex")), "bottle", "cavga_r_u")
    record = record_of(PLAN, BOTTLE, 0.4)
    for part in (
        "0.40 (0.4), iou at fixed:0.5, recorded",
        f"records/{BOTTLE.record}: sealed",
        f"{record.fingerprint} (today's sources imply it; its data are not prepared here)",
        record.fit_key, record.data_digest, record.commit, "Some CPU, 2 cores, 1 thread, 8 GiB", "python 3.12",
        f"snakemake --cores 4 --config evidence=fresh --forcerun fit evaluate -- work/records/{BOTTLE.record}",
    ):  # fmt: skip
        assert part in text
    assert trace(capsys, "table3_iou", "bottle", "cavga_r_u", "--protocol", "lite") == text.replace(".tex", ".json")


def test_trace_says_when_the_sources_moved_on(table, capsys):
    record = record_of(PLAN, BOTTLE, 0.4, keys=other_code(PLAN, BOTTLE))
    write(record, table.parents[2] / "records")
    text = trace(capsys, str(table), "bottle", "cavga_r_u", status=1)
    assert "today's sources imply another" in text
    assert f"(after: git checkout {record.commit})" in text
    assert "the table was built from another record" in text


def test_trace_names_an_altered_or_lost_record(table, capsys):
    edit(table.parents[2] / "records" / BOTTLE.record, dirty=True)
    text = trace(capsys, str(table), "bottle", "cavga_r_u", status=1)
    assert text.startswith("NOT SUPPORTED by its records: ")
    assert "was altered" in text
    (table.parents[2] / "records" / BOTTLE.record).unlink()
    assert "not a readable record" in trace(capsys, str(table), "bottle", "cavga_r_u", status=1)


def test_trace_of_a_cell_without_number(table, capsys):
    text = trace(capsys, str(table), "zipper", "cavga_r_u")
    assert "no number" in text
    assert "no record stands behind it" in text


def test_trace_takes_titles_as_well_as_ids(table, capsys):
    text = trace(capsys, str(table), "bottle", "cavga_r_u")
    assert trace(capsys, str(table), "Bottle", "CAVGA-R_u") == text
    assert trace(capsys, str(table), "BOTTLE", "cavga_r_u") == text


@pytest.mark.parametrize(
    ("method", "training", "words"),
    [
        ("vm", {"batch_size": 16, "learning_rate": 5e-4, "epochs": None}, "none: fitted to 9 images"),
        ("cavga_r_u", {"batch_size": 16, "learning_rate": 1e-4, "epochs": 60, "images_seen": None},
         "540 images seen in 60 epochs, batches of 16, learning rate 0.0001"),
        ("cavga_d_u", {"batch_size": 8, "learning_rate": 1e-3, "images_seen": 9600, "epochs": None},
         "9,600 images seen, batches of 8, learning rate 0.001"),
    ],
)  # fmt: skip
def test_trace_says_how_a_method_was_trained_or_that_it_was_not(here, monkeypatch, capsys, method, training, words):
    write(record_of(PLAN, PLAN.cell("mvtec_ad", "bottle", method, 0), training=training), here / "records")
    text = trace(capsys, str(build_table(monkeypatch)), "bottle", method)
    line = next(line for line in text.splitlines() if line.startswith("  training"))
    assert words in line
    assert ("learning rate" in line) == ("none" not in words)
    assert "(not on this machine)" in text


def test_trace_promises_no_maps_where_there_are_none(here, monkeypatch, capsys):
    write(record_of(PLAN, PLAN.cell("fashion_mnist_leave_one_out", "0", "beta_vae", 0)), here / "records")
    table = build_table(monkeypatch, table="table6_auroc_fashion_mnist")
    assert "  maps         none: the method gives scores only" in trace(capsys, str(table), "0", "beta_vae")


@pytest.mark.parametrize(
    ("row", "column", "hint"),
    [
        ("bottel", "cavga_r_u", "no row 'bottel'; did you mean 'bottle'?"),
        ("bottle", "cavga_ru", "no column 'cavga_ru'; did you mean 'cavga_r_u'?"),
        ("Toothbursh", "VM", "no row 'Toothbursh'; did you mean 'Toothbrush'?"),
        ("bottle", "zzz", "no column 'zzz'; known: avid, "),
        ("cavga_r_u", "bottle", "give the row first"),
    ],
)
def test_trace_of_an_unknown_cell_is_one_line(table, capsys, row, column, hint):
    error = trace(capsys, str(table), row, column, status=2)
    assert hint in error
    assert error.count("\n") == 1


# compare


@pytest.fixture
def sides(here):
    return here / "a", here / "b"


def both(sides, before, after, *, seeds=(0,), **over):
    for side, numbers, more in ((sides[0], before, {}), (sides[1], after, over)):
        for seed, value in zip(seeds, numbers, strict=True):
            cell = PLAN.cell("mvtec_ad", "bottle", "cavga_r_u", seed)
            write(record_of(PLAN, cell, value, **more), side)


def compared(capsys, sides, *switches, status):
    assert main(["compare", *map(str, sides), *switches]) == status
    return capsys.readouterr().out


def test_equal_records_do_not_differ(sides, capsys):
    both(sides, [0.5], [0.5])
    text = compared(capsys, sides, status=0)
    assert "1 cells; " in text
    assert "outside" not in text


@pytest.mark.parametrize(("after", "status", "word"), [(0.54, 0, "within"), (0.7, 1, "outside")])
def test_with_one_seed_the_interval_over_images_judges(sides, capsys, after, status, word):
    both(sides, [0.5], [after])
    text = compared(capsys, sides, "--all", status=status)
    assert f"image_auroc: 0.500000 → {after:.6f}, {word} the 95 % interval over test images (same sources)" in text


@pytest.mark.parametrize(
    ("after", "status", "word"), [([0.41, 0.51, 0.61], 0, "within"), ([0.7, 0.8, 0.9], 1, "outside")]
)
def test_with_several_seeds_their_spread_judges(sides, capsys, after, status, word):
    both(sides, [0.4, 0.5, 0.6], after, seeds=(0, 1, 2))
    text = compared(capsys, sides, "--all", status=status)
    assert f"{word} the spread of 3 seeds, 0.100000" in text


def test_without_seeds_or_interval_a_difference_is_named_and_not_judged(sides, capsys):
    bare = [Measured("iou", "own", None, value) for value in (0.5, 0.6)]
    for side, entry in zip(sides, bare, strict=True):
        write(record_of(PLAN, BOTTLE, measures=(entry,)), side)
    assert "iou (own): 0.500000 → 0.600000, not judged" in compared(capsys, sides, status=0)


def test_a_value_that_vanished_is_a_difference(sides, capsys):
    for side, value in zip(sides, (0.5, None), strict=True):
        entry = Measured("iou", "own", None, value)
        write(record_of(PLAN, BOTTLE, measures=(entry,)), side)
    assert "iou (own): 0.500000 → none, outside" in compared(capsys, sides, status=1)


def test_machines_form_groups_and_other_sources_are_named(sides, capsys):
    gpu = Hardware("Some CPU", 2, 2**33, 1, "cuda:0", gpu="Some GPU")
    both(sides, [0.5], [0.9], hardware=gpu, data_digest="e" * 64)
    text = compared(capsys, sides, status=1)
    assert "Some CPU, 2 cores, 1 thread, 8 GiB → Some GPU: 1 cells" in text
    assert "(other sources)" in text


def test_cells_of_one_side_are_counted(sides, capsys):
    both(sides, [0.5], [0.5])
    write(record_of(PLAN, CABLE), sides[0])
    assert "a: 1 cells" in compared(capsys, sides, status=0)


def test_an_altered_record_cannot_be_compared(sides, capsys):
    both(sides, [0.5], [0.5])
    edit(next(sides[0].rglob("seed0.json")), date="x")
    assert main(["compare", *map(str, sides)]) == 2


def methods(folder, one, other, categories=("bottle", "cable"), seeds=(0, 1, 2)):
    """Write records of two methods whose measures lie near the given values."""
    for name, value in (("vm", one), ("cavga_r_u", other)):
        for category in categories:
            for seed in seeds:
                write(record_of(PLAN, PLAN.cell("mvtec_ad", category, name, seed), value + 0.01 * seed), folder)


def test_two_methods_are_compared_at_their_own_thresholds_by_id_or_title(here, capsys):
    methods(here / "records", 0.6, 0.4)
    assert main(["compare", "vm", "CAVGA-R_u", "--measures", "iou,image_auroc"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("VM (left) against CAVGA-R_u (right)\nlite/mvtec_ad\n")
    (line,) = [line for line in text.splitlines() if line.strip().startswith("iou ")]
    assert "0.610  0.410  +0.200" in line
    assert "p < 0.001, n = 3" in line
    assert line.endswith("2 categories, 3 seeds")
    assert "pixel_auroc" not in text


def test_a_comparison_as_markdown_is_a_table(here, capsys):
    methods(here / "elsewhere", 0.6, 0.4)
    assert main(["compare", "vm", "cavga_r_u", "--records", "elsewhere", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("## ")
    rows = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8}
    assert any(line.startswith("| pixel_auroc | 0.610 | 0.410 | +0.200 |") for line in rows)


def test_two_folders_are_also_compared_as_a_whole(sides, capsys):
    for side, value in zip(sides, (0.4, 0.5), strict=True):
        methods(side, value, value)
    text = compared(capsys, sides, "--measures", "iou", status=1)
    assert text.count("lite/mvtec_ad/") == 2 + text.count("    lite/mvtec_ad/")
    assert "0.410  0.510  -0.100" in text


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("vm", "cavga_ru"), "'cavga_ru' is neither a folder nor a method; did you mean 'cavga_r_u'?"),
        (("vm", "ti"), "no record of ti there"),
        (("vm", "cavga_r_u", "--measures", "iuo"), "unknown measure 'iuo'"),
    ],
)
def test_what_cannot_be_compared_is_one_line(here, capsys, words, hint):
    methods(here / "records", 0.6, 0.4)
    assert main(["compare", *words]) == 2
    error = capsys.readouterr().err
    assert hint in error
    assert error.count("\n") == 1


def test_methods_without_a_common_cell_are_not_compared(here, capsys):
    methods(here / "records", 0.6, 0.4, categories=("bottle",))
    for path in (here / "records").rglob("bottle/vm/seed*.json"):
        path.unlink()
    write(record_of(PLAN, PLAN.cell("mvtec_ad", "cable", "vm", 0)), here / "records")
    assert main(["compare", "vm", "cavga_r_u"]) == 2
    assert "no cell in common" in capsys.readouterr().err


# archive


def archive(table, name="crate.zip", status=0):
    assert main(["archive", str(table.with_suffix("")), "--output", name]) == status
    return table.parents[2] / name


def test_an_archive_holds_what_the_table_rests_on_and_describes_every_file(table):
    weights = PLAN.fit_folder(BOTTLE) / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    with zipfile.ZipFile(archive(table)) as crate:
        names = crate.namelist()
        graph = {entity["@id"]: entity for entity in json.loads(crate.read("ro-crate-metadata.json"))["@graph"]}
        for name in names:
            if name != "ro-crate-metadata.json":
                assert graph[name]["sha256"] == hashlib.sha256(crate.read(name)).hexdigest()
        digests = json.loads(crate.read("weights.json"))
    assert digests == {PLAN.key(BOTTLE): hashlib.sha256(b"weights").hexdigest(), PLAN.key(CABLE): None}
    assert {f"records/{BOTTLE.record}", f"records/{CABLE.record}", "requirements.lock", "published/table3_iou.csv",
            "tables/table3_iou.yaml", "config/protocols/lite.yaml", "config/protocols/paper.yaml",
            "results/lite/table3_iou.json", "results/lite/table3_iou.tex"} <= set(names)  # fmt: skip
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in graph["ro-crate-metadata.json"]["conformsTo"]
    assert graph["ro-crate-metadata.json"]["about"] == {"@id": "./"}
    root = graph["./"]
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert {part["@id"] for part in root["hasPart"]} == set(names) - {"ro-crate-metadata.json"}
    assert root["license"]["@id"] in graph


@pytest.mark.crate
def test_an_archive_is_a_valid_workflow_run_crate(table, tmp_path):
    """The validator fetches the context; here it stands in the document itself, as rocrate brings it."""
    with zipfile.ZipFile(archive(table)) as crate:
        crate.extractall(tmp_path / "crate")
    path = tmp_path / "crate" / "ro-crate-metadata.json"
    content = json.loads(path.read_text())
    context, terms = content["@context"]
    assert context == "https://w3id.org/ro/crate/1.1/context"
    newest = json.loads(files("rocrate").joinpath("data/ro-crate.jsonld").read_text())["@context"]
    moved = {"ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow"}  # where 1.1 has it
    path.write_text(json.dumps(content | {"@context": newest | moved | terms}))
    command = ["rocrate-validator", "-y", "validate", str(tmp_path / "crate"), "--offline", "--output-format", "json"]
    command += ["--profile-identifier", "workflow-run-crate", "--output-file", str(tmp_path / "report.json")]
    done = subprocess.run(command, capture_output=True, text=True)
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["issues"] == [], done.stdout
    assert report["passed"]
    assert done.returncode == 0


def test_two_archives_have_the_same_bytes(table):
    first = archive(table, "one.zip").read_bytes()
    for path in table.parents[2].rglob("*.json"):
        path.touch()
    assert archive(table, "two.zip").read_bytes() == first


@pytest.mark.parametrize("fault", ["altered", "other", "view", "empty"])
def test_what_is_not_sound_is_not_archived(table, here, capsys, fault):
    path = here / "records" / BOTTLE.record
    if fault == "altered":
        edit(path, date="x")
    elif fault == "other":
        write(record_of(PLAN, BOTTLE, 0.4, data_digest="e" * 64), here / "records")
    elif fault == "view":
        table.with_suffix(".html").unlink()
    else:
        table.write_text(json.dumps(json.loads(table.read_text()) | {"provenance": []}))
    assert not archive(table, status=2).exists()
    assert len(capsys.readouterr().err.splitlines()) == 1
