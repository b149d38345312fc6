"""A subset by name: `run`, `only` of a protocol, other seeds, and files of one's own for methods and tables."""

from __future__ import annotations

import json

import pytest
import yaml

from harness import paths
from harness.cli.main import main
from harness.config import load_config
from harness.errors import ConfigError
from harness.paths import ROOT
from harness.records.plan import Plan
from harness.records.status import awaited, status
from harness.tables.aggregate import aggregate
from harness.tables.cells import Evidence
from harness.tables.layout import layout
from harness.tables.plans import Plans
from harness.tables.spec import load_numbers, load_table, table_ids
from tests.records import record_of, write


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Return a function that sets configuration keys; the current folder is an empty one."""
    monkeypatch.chdir(tmp_path)

    def set_keys(**keys):
        monkeypatch.setenv("CAVGA_CONFIG", json.dumps(keys))
        return load_config()

    return set_keys


@pytest.fixture
def ran(monkeypatch):
    """The commands that would have been run; Snakemake is not started."""
    commands = []

    def run(command):
        commands.append(command)
        return 0

    monkeypatch.setattr("harness.cli.run.run_to_end", run)
    return commands


def test_run_asks_snakemake_for_the_records_of_the_chosen_cells(configured, ran, capsys):
    configured()
    words = ["run", "--table", "table3_iou", "--protocol", "demo", "--methods", "ae_l2,vm", "--categories", "nut"]
    assert main([*words, "--seeds", "0-1", "--cores", "2"]) == 0
    (command,) = ran
    targets = command[command.index("--") + 1 :]
    assert set(targets) == {
        f"work/records/demo/demo_textures/nut/{method}/seed{seed}.json" for method in ("ae_l2", "vm") for seed in (0, 1)
    }
    assert command[command.index("--config") + 1] == "seeds=[0, 1]"
    assert str(ROOT / "Snakefile") in command
    assert "nut" in capsys.readouterr().out.lower()


def test_run_leaves_out_what_is_accepted(configured, ran, monkeypatch):
    plan = Plan.load("lite", configured(data_root=None))
    monkeypatch.setattr(paths, "RECORDS", paths.WORK.resolve().parent / "records")
    write(record_of(plan, plan.cell("mvtec_ad", "bottle", "vm", 0)), paths.RECORDS)
    waited = "harness.records.plan.Plan.unavailable"
    monkeypatch.setattr(waited, lambda plan, cell: None)
    words = ["run", "--table", "table3_iou", "--methods", "vm", "--categories", "bottle", "--dry-run"]
    assert main([*words, "--seeds", "0-1"]) == 0
    (command,) = ran
    assert command[command.index("--") + 1 :] == ["work/records/lite/mvtec_ad/bottle/vm/seed1.json"]
    assert main([*words, "--seeds", "0"]) == 0
    assert len(ran) == 1, "all there: nothing to start Snakemake for"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--methods", "ae_l3"], "no method 'ae_l3'; did you mean 'ae_l2'?"),
        (["--categories", "nuts"], "no category 'nuts'; did you mean 'nut'?"),
        (["--methods", "vm", "--categories", "brick"], "no cell of vm on brick; leave out --categories to see"),
    ],
)
def test_run_knows_the_nearest_names(configured, ran, capsys, words, said):
    configured()
    assert main(["run", "--table", "table3_iou", "--protocol", "demo", *words]) == 2
    assert said in capsys.readouterr().err
    assert ran == []


@pytest.mark.parametrize("seeds", ["0..2", "2-0"])
def test_seeds_that_are_none_are_refused(capsys, seeds):
    with pytest.raises(SystemExit) as stop:
        main(["run", "--table", "table3_iou", "--seeds", seeds])
    assert stop.value.code == 2
    assert f"'{seeds}' names no seeds; write 0-2 or 0,3" in capsys.readouterr().err


def test_a_seed_that_the_protocol_does_not_have_is_refused_before_anything_is_written(configured, tmp_path, capsys):
    configured()
    words = ["fit", "--protocol", "lite", "--dataset", "mvtec_ad", "--category", "bottle", "--method", "vm"]
    assert main([*words, "--seed", "99"]) == 2
    assert "protocol 'lite' measures vm with seed 0, 1, 2, not 99; give others by" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_other_seeds_than_the_protocols(configured):
    plan = Plan.load("demo", configured(seeds=["0", "3"]))  # as Snakemake hands them on
    assert plan.protocol.seeds == (0, 3)
    with pytest.raises(ConfigError, match="seeds"):
        configured(seeds=["a"])


def test_only_leaves_the_other_cells_out_and_means_blank(configured, tmp_path):
    (tmp_path / "few.yaml").write_text("id: few\ntitle: few\nextends: demo\nonly: {methods: [vm], categories: [nut]}\n")
    plans = Plans(configured(extra_protocols=["few.yaml"]))
    cells = plans.cells("few", "table3_iou")
    assert {(cell.method, cell.category) for cell in cells} == {("vm", "nut")}
    plan = plans.plan("few")
    other = plan.cell("mvtec_ad", "nut", "ae_l2", 0)
    assert status(plan, other).state == "not_measured"
    assert "left out: `only`" in status(plan, other).reason
    assert awaited(plan, other) is None


def test_the_table_of_ones_own_data_is_neutral(configured, tmp_path):
    own = {"title": "Screws of ours", "layout": "mvtec", "access": "open", "path": str(tmp_path)}
    categories = {name: {"title": name.title(), "kind": "object"} for name in ("long", "short")}
    mine = {"id": "mine", "title": "mine", "extends": "lite", "stand_ins": {"mvtec_ad": "screws"}, "methods": {}}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(mine | {"only": {"methods": ["vm", "padim"]}}))
    for known, blocks in ((("long", "short"), ["mean over 2 categories", "Long", "Short"]), (("long",), ["Long"])):
        entry = {"screws": own | {"categories": {name: categories[name] for name in known}}}
        (tmp_path / "data.yaml").write_text(yaml.safe_dump(entry))
        config = configured(extra_datasets=["data.yaml"], extra_protocols=["mine.yaml"])
        plan = Plan.load("mine", config)
        table = layout(plan, load_numbers("extra"))
        methods = [line for line in table.series if line.series is not None]
        assert list(dict.fromkeys(line.head.group for line in methods)) == blocks
        assert {line.head.method for line in methods} == {"vm", "padim"}
        shown = aggregate(Evidence(plan), load_numbers("extra"))
        assert shown.title == "Every method on Screws of ours"
        assert "paper" not in " ".join([shown.caption, *shown.notes])
        assert all(cell.published is None for cells in shown.cells for cell in cells)


def test_a_misspelt_name_in_only_is_one_line(configured, tmp_path):
    (tmp_path / "few.yaml").write_text("id: few\ntitle: few\nextends: demo\nonly: {methods: [vn]}\n")
    with pytest.raises(ConfigError, match=r"only.methods: unknown method 'vn'"):
        Plan.load("few", configured(extra_protocols=["few.yaml"]))


def test_a_method_and_a_table_of_ones_own_need_no_tracked_file(configured, tmp_path):
    methods = yaml.safe_load((ROOT / "config" / "methods.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"mine": methods["vm"]}))
    spec = {
        "id": "yours", "kind": "grid", "label": "Yours", "paper": "supplementary", "title": "yours", "caption": "c",
        "dataset": "mvtec_ad", "measure": "iou", "decimals": 2, "published": "table3_iou.csv", "corner": "Category",
        "columns": [{"method": "mine"}, {"method": "vm"}], "aggregates": [{"id": "mean", "title": "mean"}],
    }  # fmt: skip
    (tmp_path / "yours.yaml").write_text(yaml.safe_dump(spec))
    plans = Plans(configured(extra_methods=["mine.yaml"], extra_tables=["yours.yaml"]))
    assert "yours" in table_ids()
    assert load_table("yours").series[0].method == "mine"
    assert {cell.method for cell in plans.cells("demo", "yours")} == {"mine", "vm"}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"vm": methods["vm"]}))
    with pytest.raises(ConfigError, match="there is a method 'vm' already"):
        Plan.load("demo", load_config())


def test_a_table_that_is_not_built_is_shown_from_the_records(configured, tmp_path, capsys):
    configured(evidence="recorded")
    assert main(["show", "table3_iou", "--protocol", "demo"]) == 0
    said = capsys.readouterr()
    assert said.err == "results/demo/table3_iou.json is not built: this is what the records say now\n"
    assert "Table 3" in said.out
    assert not list(tmp_path.iterdir())
    assert main(["show", "tabel3_iou", "--protocol", "demo"]) == 2
    assert main(["trace", "results/lite/table3_iou.json", "bottle", "vm"]) == 2
    assert (
        "build it: snakemake --cores 2 results/lite/table3_iou.json, or name docs/results/" in capsys.readouterr().err
    )


def test_help_has_a_sentence_for_every_verb_and_option(capsys):
    import argparse
    import importlib

    from harness.cli.main import VERBS

    for name, verb in VERBS.items():
        parser = argparse.ArgumentParser()
        getattr(importlib.import_module(f"harness.cli.{verb.module}"), f"add_{name}")(parser)
        assert all(action.help for action in parser._actions), name
    assert main(["--help"]) == 0
    assert main(["--version"]) == 0
    assert "cavga-bench 0" in capsys.readouterr().out


def test_an_unknown_option_or_verb_names_the_nearest(capsys):
    with pytest.raises(SystemExit):
        main(["watch", "--onse"])
    assert "unknown option '--onse'; did you mean '--once'?" in capsys.readouterr().err
    assert main(["wach"]) == 2
    assert "did you mean 'watch'?" in capsys.readouterr().err
