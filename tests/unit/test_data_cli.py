"""Everything that can be wrong with data, through the command line: one line, exit code 2, nothing half-written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.main import main
from tests import painters
from tests.unit.test_bad_images import BROKEN
from tests.unit.test_class_sets import BAD_IDX
from tests.unit.test_scenes_eyes_tables import BAD_SCENES

Paint = Callable[[Path], Path]
LAYOUTS: list[tuple[str, str, Paint, list[tuple[str, Callable[[Path], object], str]]]] = [
    ("mvtec_ad", "bottle", lambda root: painters.mvtec(root / "mvtec_ad"), BROKEN),
    ("mnist", "3", lambda root: painters.idx(root / "mnist"), BAD_IDX),
    ("mstc", "01", lambda root: painters.shanghaitech(root / "mstc", ["01"]), BAD_SCENES),
]
CASES = [
    pytest.param(dataset, category, paint, spoil, id=f"{dataset}: {name}")
    for dataset, category, paint, cases in LAYOUTS
    for name, spoil, _ in cases
]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data root; the current folder is another, empty one."""
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("CAVGA_DATA", str(folder))
    return folder


def prepare(dataset: str, category: str, *words: str, protocol: str = "lite") -> int:
    return main(["prepare", "--protocol", protocol, "--dataset", dataset, "--category", category, *words])


@pytest.mark.parametrize(("dataset", "category", "paint", "spoil"), CASES)
def test_bad_data_end_in_one_line(
    root: Path,
    capfd: pytest.CaptureFixture[str],
    dataset: str,
    category: str,
    paint: Paint,
    spoil: Callable[[Path], object],
) -> None:
    spoil(paint(root))
    code = main(["fetch", dataset, "--category", category]) or prepare(dataset, category)
    said = [line for line in capfd.readouterr().err.splitlines() if not line.startswith((f"{dataset}", "prepare "))]
    assert code == 2
    assert len(said) == 1
    assert said[0].startswith(f"error: {root}"), "the file comes first"
    assert "; " in said[0], "no remedy"
    assert not [path for path in Path("work").glob("data/*/*/*/*") if path.suffix != ".lock"]


def test_a_workflow_gets_the_reason_as_a_manifest(root: Path) -> None:
    painters.mvtec(root / "mvtec_ad")
    (root / "mvtec_ad/bottle/test/broken/001.png").write_bytes(b"")
    assert main(["fetch", "mvtec_ad", "--category", "bottle"]) == 0
    assert prepare("mvtec_ad", "bottle", "--note-failure") == 0
    manifest = json.loads(Path("work/data/lite/mvtec_ad/bottle/128px/manifest.json").read_text())
    assert "001.png: truncated or damaged image" in manifest["error"]


@pytest.mark.parametrize("words", [["--cores", "0"], ["--cores", "-1"], ["--size", "0"], ["--size", "x"]])
def test_numbers_that_make_no_sense_are_refused(
    root: Path, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        prepare("mvtec_ad", "brick", *words, protocol="demo")
    assert stop.value.code == 2
    assert f"'{words[1]}' is not a number from 1 on" in capfd.readouterr().err


def test_work_folder_that_cannot_be_written(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    painters.idx(root / "mnist")
    Path("work").write_text("a file in the way")
    assert main(["fetch", "mnist"]) == 2
    assert prepare("mvtec_ad", "brick", protocol="demo") == 2
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "error: work/raw/mnist: cannot be written",
        "error: work/data/demo/demo_textures/brick: cannot be written",
    ]


def test_nothing_is_downloaded_unasked(
    root: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.data.download.download", lambda *_: pytest.fail("asked the network"))
    for dataset, words, message in (
        ("mnist", [], "mnist: its licence is CC BY-SA 3.0"),
        ("lag", [], "lag fundus: password: ask the authors"),
        ("nothing", [], "unknown dataset 'nothing'"),
    ):
        assert main(["fetch", dataset, *words]) == 2
        assert message in capfd.readouterr().err
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"offline": True, "licences_accepted": ["mnist"]}))
    assert main(["fetch", "mnist"]) == 2
    assert "`offline: true` forbids the network" in capfd.readouterr().err
    monkeypatch.setenv("CAVGA_CONFIG", json.dumps({"licences_accepted": ["mnits"]}))
    assert main(["fetch", "mnist"]) == 2
    assert "licences_accepted names 'mnits'" in capfd.readouterr().err


def test_acceptance_is_recorded_and_shown(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    painters.idx(root / "mnist")
    assert main(["fetch", "mnist", "--accept-licence"]) == 0
    assert "mnist: licence CC BY-SA 3.0 (http://yann.lecun.com/exdb/mnist/), accepted on 20" in capfd.readouterr().err
    assert json.loads(Path("work/licences.json").read_text())["mnist"]["licence"] == "CC BY-SA 3.0"
