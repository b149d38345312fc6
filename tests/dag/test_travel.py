"""What a build runs where results were pulled: tables and figures from a cluster's work, and no fit."""

from __future__ import annotations

import shutil

import pytest

from tests.dag.conftest import Copy
from tests.painters import mvtec

pytestmark = pytest.mark.xdist_group("dag")
CELLS = 12


@pytest.fixture
def store(copy, tmp_path):
    """What the copy measured, pushed."""
    said = copy.verb("push", str(tmp_path / "store"))
    assert said.startswith(f"{CELLS} fits pushed, {CELLS} records pushed;")
    return str(tmp_path / "store")


def bare(copy: Copy) -> None:
    for name in ("work", ".snakemake", "results"):
        shutil.rmtree(copy.folder / name)


def test_where_everything_was_pulled_nothing_is_prepared_or_fitted(copy, store):
    bare(copy)
    assert copy.plan()["fit"] == CELLS
    assert copy.verb("pull", store).startswith(f"{CELLS} fits pulled, {CELLS} records pulled;")
    assert copy.plan() == {"aggregate": 1, "render": 1}
    copy.build()
    assert copy.plan() == {}
    assert copy.verb("pull", store) == f"{CELLS} fits here already, {CELLS} records here already; 0.0 MB copied\n"


def test_records_alone_are_enough_for_tables_of_one_target(copy, store):
    bare(copy)
    said = copy.verb("pull", store, "results/demo/mini", "--records")
    assert said.startswith(f"{CELLS} records pulled;")
    assert copy.plan() == {"aggregate": 1, "render": 1}


def test_pulled_fits_of_prepared_data_are_measured_and_not_fitted_again(copy, store):
    for name in ("fits", "records"):
        shutil.rmtree(copy.folder / "work" / name)
    shutil.rmtree(copy.folder / ".snakemake")
    shutil.rmtree(f"{store}/records")
    assert copy.verb("pull", store).startswith(f"{CELLS} fits pulled;")
    assert copy.plan() == {"evaluate": CELLS, "aggregate": 1, "render": 1}


def test_what_was_made_here_of_older_sources_is_replaced_and_not_made_again(copy, tmp_path):
    there = Copy(tmp_path / "there")
    shutil.copytree(copy.folder, there.folder, symlinks=True)
    for each in (copy, there):
        each.append("baselines/autoencoder.py", "\nEXTRA = 1\n")
    there.build()
    said = there.verb("push", str(tmp_path / "store"))
    assert f"4 fits of other sources, {CELLS} fits pushed" in said
    assert copy.plan()["fit"] == 4
    assert copy.verb("pull", str(tmp_path / "store")).startswith("8 fits here already, 4 fits pulled, 8 records here")
    assert not copy.plan().keys() & {"prepare", "fit", "evaluate"}


def test_a_table_is_built_again_when_a_number_arrives_that_cannot_be_measured_here(copy, tmp_path, monkeypatch):
    copy.build("results/lite/mini.tex")
    assert copy.plan("results/lite/mini.tex") == {}
    there = Copy(tmp_path / "there")
    shutil.copytree(copy.folder, there.folder, symlinks=True)
    mvtec(tmp_path / "data" / "mvtec_ad")
    stamp = there.folder / "work/raw/mvtec_ad/bottle.json"  # as if it had been fetched
    stamp.parent.mkdir(parents=True)
    stamp.write_text("{}")
    with monkeypatch.context() as patch:
        patch.setattr(there, "environment", lambda: Copy.environment() | {"CAVGA_DATA": str(tmp_path / "data")})
        there.snakemake("results/lite/mini.tex")
        said = there.verb("push", str(tmp_path / "store"), "results/lite/mini")
    assert not said.startswith("nothing")
    assert copy.verb("pull", str(tmp_path / "store")) == said.replace("pushed", "pulled")
    assert copy.plan("results/lite/mini.tex") == {"aggregate": 1, "render": 1}
