"""Fits and records that travel through a store: whole or not at all, checked, and only what today's sources imply."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import fsspec
import pytest

from harness.cli.main import main
from harness.config import load_config
from harness.records.plan import Plan
from harness.workflow.share import FILES
from harness.workflow.store import Store
from tests.records import other_code, record_of, write

PLAN = Plan.load("lite", load_config({"data_root": None}))
BOTTLE = PLAN.cell("mvtec_ad", "bottle", "vm", 0)
CABLE = PLAN.cell("mvtec_ad", "cable", "ae_l2", 0)
KEY = PLAN.key(BOTTLE)
STRANGE = "0" * 24


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pushed(here, capsys):
    """A folder `there` that pushed a fit and two records; the current folder is a new one."""
    fit(KEY)
    for cell in (BOTTLE, CABLE):
        write(record_of(PLAN, cell, 0.4), Path("work/records"))
    assert main(["push", "store"]) == 0
    assert capsys.readouterr().out.startswith("1 fit pushed, 2 records pushed; 0.0 MB")
    Path("work").rename("there")
    return here / "store"


def fit(key: str, status: str = "measured", data: str = "d" * 64) -> Path:
    folder = Path("work/fits", key)
    folder.mkdir(parents=True)
    for name in FILES[:-1]:
        (folder / name).write_text(f"{name} of {key}")
    (folder / "checkpoint.pt").write_text("may hold code")
    (folder / "status.json").write_text(json.dumps({"status": status, "data_digest": data}))
    return folder


def pull(capsys, *words: str, status: int = 0) -> str:
    assert main(["pull", "store", *words]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def files(folder: str) -> dict[str, bytes]:
    found = [path for path in Path(folder).rglob("*") if path.is_file() and path.name not in ("lock", "checkpoint.pt")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found if path.name != "code_digests.json"}


def test_what_is_pulled_has_the_bytes_that_were_pushed(pushed, capsys):
    assert pull(capsys).startswith("1 fit pulled, 2 records pulled;")
    assert files("work") == files("there")
    assert not list(Path("work").rglob("checkpoint.pt"))
    assert pull(capsys) == "1 fit here already, 2 records here already; 0.0 MB copied\n"
    assert main(["push", "store"]) == 0
    assert capsys.readouterr().out == "1 fit there already, 2 records there already; 0.0 MB copied\n"


def test_only_a_targets_cells_and_only_records(pushed, capsys):
    assert pull(capsys, "results/lite/table5_auroc_mstc") == "nothing to copy; 0.0 MB copied\n"
    assert pull(capsys, "results/lite/table3_iou", "--records").startswith("2 records pulled;")
    assert not Path("work/fits").exists()
    assert main(["pull", "store", "results/lite/table3_iuo"]) == 2
    assert "did you mean 'table3_iou'" in capsys.readouterr().err


def test_an_address_of_fsspec(pushed, capsys):
    Path("there").rename("work")
    assert main(["push", "memory://cavga/store"]) == 0
    Path("work").rename("there")
    assert main(["pull", "memory://cavga/store"]) == 0
    assert capsys.readouterr().out.count("1 fit pulled, 2 records pulled;") == 1
    assert files("work") == files("there")
    assert not [path for path in fsspec.filesystem("memory").find("cavga") if path.endswith(".tmp")]


def test_what_other_sources_made_failed_or_is_unfinished_stays_where_it_is(here, capsys):
    fit(KEY, status="failed")
    fit(STRANGE)
    write(record_of(PLAN, BOTTLE, keys=other_code(PLAN, BOTTLE)), Path("work/records"))
    write(record_of(PLAN, CABLE, status="failed", reason="NaN", measures=()), Path("work/records"))
    assert main(["push", "store"]) == 0
    assert capsys.readouterr().out == (
        "1 fit failed, 1 fit of other sources, 1 record failed, 1 record of other sources; 0.0 MB copied\n"
    )
    assert not Path("store").exists()


def test_other_sources_share_a_store_and_everybody_gets_his_own(pushed, capsys):
    other = record_of(PLAN, BOTTLE, 0.9, keys=other_code(PLAN, BOTTLE))
    place = pushed / "records" / BOTTLE.record.with_suffix("")
    (place / f"{other.fingerprint}.json").write_bytes(write(other, Path("elsewhere")).read_bytes())
    strange = pushed / "records/lite/mvtec_ad/bottle/unheard_of/seed0"
    strange.mkdir(parents=True)
    (strange / "a.json").write_text("{}")
    assert pull(capsys).startswith("1 fit pulled, 1 record of other sources, 2 records pulled;")
    assert '"value": 0.4' in Path("work/records", BOTTLE.record).read_text()


def test_what_counts_here_is_kept_and_what_does_not_is_replaced(pushed, capsys):
    write(record_of(PLAN, BOTTLE, 0.7), Path("work/records"))
    write(record_of(PLAN, CABLE, 0.7, keys=other_code(PLAN, CABLE)), Path("work/records"))
    mine = fit(KEY, status="failed")
    assert pull(capsys).startswith("1 fit pulled, 1 record here already, 1 record pulled;")
    assert '"value": 0.7' in Path("work/records", BOTTLE.record).read_text()
    assert '"value": 0.4' in Path("work/records", CABLE.record).read_text()
    assert json.loads((mine / "status.json").read_text())["status"] == "measured"
    assert not (mine / "checkpoint.pt").exists()


@pytest.mark.parametrize("name", ["maps.npz", "weights.safetensors", "status.json"])
def test_a_damaged_file_is_named_and_nothing_of_its_fit_is_taken(pushed, capsys, name):
    with (pushed / "fits" / KEY / name).open("a") as file:
        file.write("x")
    error = pull(capsys, status=1)
    assert error == f"fault: store: fits/{KEY}/{name}: is not what was pushed; push it again with --replace\n"
    assert not [path for path in files("work") if path.startswith("fits")]
    assert len(files("work")) == 2, "the records arrive all the same"
    Path("work").rename("broken")
    Path("there").rename("work")
    assert main(["push", "store", "--replace"]) == 0
    Path("work").rename("there")
    assert pull(capsys).endswith("copied\n")


def test_an_altered_record_is_named_and_not_taken(pushed, capsys):
    path = next(pushed.glob("records/*/*/bottle/*/*/*.json"))
    path.write_text(path.read_text().replace('"value": 0.4', '"value": 0.9'))
    error = pull(capsys, "--records", status=1)
    assert error.startswith(f"fault: store: {path.relative_to(pushed)}: was altered")
    assert list(files("work")) == [f"records/{CABLE.record}"]


def test_an_index_cannot_name_other_files(pushed, capsys):
    evil = hashlib.sha256(b"x").hexdigest()
    path = pushed / "fits" / KEY / "index.json"
    content = json.loads(path.read_text())
    for name in ("../../../escaped", "checkpoint.pt"):
        files = content["files"] | {name: {"sha256": evil, "bytes": 1}}
        path.write_text(json.dumps(content | {"files": files}))
        assert "is no index of a fit" in pull(capsys, status=1)
    path.write_text("{")
    assert "is no index of a fit" in pull(capsys, status=1)
    assert not Path("work/fits").exists()


def test_a_push_that_is_cut_off_gives_no_fit_and_is_made_whole_by_the_next(here, capsys, monkeypatch):
    fit(KEY)
    whole = Store.put

    def cut(store: Store, source: Path, name: str) -> None:
        if source.name == "maps.npz":
            raise KeyboardInterrupt
        whole(store, source, name)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", cut)
        assert main(["push", "store"]) == 130
    Path("work").rename("there")
    assert pull(capsys) == "nothing to copy; 0.0 MB copied\n"
    Path("there").rename("work")
    assert main(["push", "store"]) == 0
    Path("work").rename("there")
    assert "1 fit pulled" in pull(capsys)


def test_a_pull_that_is_cut_off_leaves_no_fit_and_is_made_whole_by_the_next(pushed, capsys, monkeypatch):
    whole = Store.get

    def cut(store: Store, name: str, target: Path) -> None:
        whole(store, name, target)
        if name.endswith("maps.npz"):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "get", cut)
        assert main(["pull", "store"]) == 130
    assert files("work") == {}
    assert pull(capsys).startswith("1 fit pulled, 2 records pulled;")


def test_a_fit_of_other_data_than_those_here_is_left(pushed, capsys):
    manifest = PLAN.data_folder(BOTTLE) / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"digest": "other"}))
    assert pull(capsys).startswith("1 fit of other data, 1 record of other sources, 1 record pulled;")
    assert not [path for path in files("work") if path.startswith("fits")]


def test_while_a_build_runs_nothing_is_pulled(pushed, capsys):
    lock = Path(".snakemake/locks/0.output.lock")
    lock.parent.mkdir(parents=True)
    lock.touch()
    assert "a build runs here" in pull(capsys, status=2)
    assert not Path("work").exists()


@pytest.mark.parametrize(
    ("address", "words"), [("gibberish://x", "Protocol not known"), ("/dev/null/x", "/dev/null/x: cannot be used")]
)
def test_an_address_that_cannot_be_used_is_one_line(here, capsys, address, words):
    write(record_of(PLAN, BOTTLE), Path("work/records"))
    assert main(["push", address]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert words in error
