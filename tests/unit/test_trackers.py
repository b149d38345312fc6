"""`cavga-bench track`: what trackers are told of a record, once each; the real trackers where they are installed."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from harness import paths
from harness.cli.main import main
from harness.config import load_config
from harness.errors import EvidenceError
from harness.records.losses import thinned_losses
from harness.records.plan import Plan
from harness.records.record import Overlay
from harness.trackers.find import find_runs
from harness.trackers.run import Point
from harness.trackers.sinks import track
from tests.records import edit, record_of, write

PLAN = Plan.load("lite", load_config({"data_root": None}))
BOTTLE = PLAN.cell("mvtec_ad", "bottle", "vm", 0)
CABLE = PLAN.cell("mvtec_ad", "cable", "vm", 0)
LINES = (
    {"loop": "train", "step": 1, "of": 3, "images_per_s": 8.0, "time": 100.5, "loss": 4.0},
    {"loop": "train", "step": 2, "of": 3, "images_per_s": 9.0, "time": 101.5, "loss": 7.0},
    {"validation_step": 2, "validation_error": 0.25},
    {"loop": "train", "step": 2, "of": 3, "images_per_s": 9.0, "time": 201.5, "loss": 3.0, "extra(x)": 1.0},
    {"loop": "train", "step": 3, "of": 3, "images_per_s": 9.0, "time": 202.5, "loss": float("nan")},
)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "RECORDS", tmp_path / "records")
    return tmp_path


def measured(folder: str = "work/records", log: bool = True, **over) -> Path:
    """Write a record with a picture and losses, and the log of its fit."""
    key = PLAN.key(BOTTLE)
    path = Path("work/fits", key, "log.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    losses = thinned_losses(path)
    if not log:
        path.unlink()
    file = io.BytesIO()
    Image.new("RGB", (96, 96), "red").save(file, "PNG")
    picture = Overlay("../test/cut/000.png", 0.5, f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}")
    return write(record_of(PLAN, BOTTLE, 0.4, **{"losses": losses, "overlays": (picture,)} | over), Path(folder))


class Memory:
    """A tracker that remembers."""

    def __init__(self):
        self.runs = {}

    def told(self, run):
        return self.runs[run.seal].digest if run.seal in self.runs else None

    def tell(self, run):
        self.runs[run.seal] = run


def test_what_a_run_says_of_its_record(here):
    path = measured()
    (run,) = find_runs()
    seal = json.loads(path.read_text())["seal"]
    assert (run.name, run.seal) == (f"lite/mvtec_ad/bottle/vm/seed0/{seal[:8]}", seal)
    assert run.settings | {"method": "vm", "seed": 0, "training.batch_size": 2, "images.train": 9} == run.settings
    assert run.measures["measures/iou.best_on_test"] == 0.4
    assert run.measures["measures/iou.best_on_test.low"] == pytest.approx(0.35)
    assert run.measures["measures/pixel_auroc"] == 0.4
    assert run.measures["cost/fit_seconds"] == 3.5
    assert (run.about["commit"], run.about["record"]) == (
        "0" * 40,
        str(path.relative_to(here) if path.is_absolute() else path),
    )
    assert run.ended - run.started == pytest.approx(4.0)
    assert run.text == path.read_text()
    ((name, png),) = run.images()
    assert name == ".._test_cut_000"
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.getpixel((5, 5))) == ("PNG", (255, 0, 0))


def test_curves_are_the_whole_log_where_it_is_the_fits_own(here):
    measured()
    (run,) = find_runs()
    assert run.about["curves"] == "whole log"
    assert [point for point in run.points if point.curve == "train/loss"] == [
        Point("train/loss", 1, 4.0, 100.5),
        Point("train/loss", 2, 3.0, 201.5),
    ]
    assert {point.curve for point in run.points} == {
        "train/loss", "train/extra_x_", "train/images_per_s", "validation/error",
    }  # fmt: skip
    log = Path("work/fits", PLAN.key(BOTTLE), "log.jsonl")
    log.write_text(log.read_text().replace("4.0", "5.0"))
    (run,) = find_runs()
    assert run.about["curves"] == "thinned, from the record"
    assert [(point.step, point.value) for point in run.points] == [(1, 4.0), (2, 3.0)]


def test_the_log_beside_the_records_is_found(here):
    measured()
    Path("work").rename("elsewhere")
    (run,) = find_runs(Path("elsewhere/records/lite"))
    assert run.about["curves"] == "whole log"


def test_each_record_is_told_once_and_again_only_if_there_is_more_to_tell(here):
    measured(log=False)
    sink = Memory()
    assert track(find_runs(), sink) == {"new": 1}
    assert track(find_runs(), sink) == {"there already": 1}
    measured()
    assert track(find_runs(), sink) == {"renewed": 1}
    measured("records")
    (run,) = find_runs()
    assert run.about["record"].startswith("records/"), "of equal records the accepted one"
    write(record_of(PLAN, CABLE, status="failed", reason="loss is not finite", measures=()), Path("work/records"))
    assert track(find_runs(), sink) == {"new": 1, "renewed": 1}
    failed = next(run for run in sink.runs.values() if run.failed)
    assert failed.about["reason"] == "loss is not finite"


def test_what_is_no_record_is_refused(here):
    path = measured()
    with pytest.raises(EvidenceError, match="elsewhere: no records there"):
        list(find_runs(Path("elsewhere")))
    copied = path.with_name("seed1.json")
    copied.write_text(path.read_text())
    with pytest.raises(EvidenceError, match="another cell"):
        list(find_runs())
    copied.unlink()
    edit(path, commit="1" * 40)
    with pytest.raises(EvidenceError, match="altered"):
        list(find_runs())


@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow"])
def test_without_its_package_one_line_says_how_to_install_it(here, capsys, monkeypatch, tracker):
    monkeypatch.setattr("harness.trackers.sinks.find_spec", lambda name: None)
    measured()
    assert main(["track", "--to", tracker, "runs"]) == 2
    error = capsys.readouterr().err
    assert error == f"error: --to {tracker}: {tracker} is not installed; pip install -e '{paths.ROOT}[{tracker}]'\n"
    assert not Path("runs").exists()


def test_tensorboard_reads_what_was_written(here, capsys):
    pytest.importorskip("tensorboard", reason="no tensorboard; pip install -e '.[tensorboard]'")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    measured(log=False)
    assert main(["track", "--to", "tensorboard", "runs"]) == 0
    assert main(["track", "--to", "tensorboard", "runs"]) == 0
    assert capsys.readouterr().out == "runs: 1 run new\nruns: 1 run there already\n"
    measured()
    assert main(["track", "--to", "tensorboard", "runs"]) == 0
    assert capsys.readouterr().out == "runs: 1 run renewed\n"
    (path,) = (path for path in Path("runs").rglob("*") if path.is_file())
    read = EventAccumulator(str(path.parent)).Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [(1, 4.0), (2, 3.0)]
    assert read.Scalars("measures/pixel_auroc")[0].value == pytest.approx(0.4)
    assert read.Images("overlays/.._test_cut_000")[0].width == 96
    assert {"about/text_summary", "settings/text_summary", "about", "settings"} & set(read.Tags()["tensors"])
    assert main(["track", "--to", "tensorboard", "s3://bucket/runs"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_mlflow_reads_what_was_written(here, capsys):
    mlflow = pytest.importorskip("mlflow", reason="no mlflow; pip install -e '.[mlflow]'")
    measured(log=False)
    write(record_of(PLAN, CABLE, status="failed", reason="NaN", measures=()), Path("work/records"))
    assert main(["track", "--to", "mlflow", "runs"]) == 0
    assert main(["track", "--to", "mlflow", "runs"]) == 0
    measured()
    assert main(["track", "--to", "mlflow", "runs"]) == 0
    outcomes = ["2 runs new", "2 runs there already", "1 run renewed, 1 run there already"]
    assert capsys.readouterr().out.splitlines() == [f"runs: {outcome}" for outcome in outcomes]
    client = mlflow.MlflowClient(f"sqlite:///{here}/runs/mlflow.db")
    experiment = client.get_experiment_by_name("cavga/lite").experiment_id
    runs = {run.data.params["category"]: run for run in client.search_runs([experiment])}
    assert {name: run.info.status for name, run in runs.items()} == {"bottle": "FINISHED", "cable": "FAILED"}
    run = runs["bottle"]
    assert run.data.metrics["measures/iou.best_on_test"] == pytest.approx(0.4)
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert [(point.step, point.value) for point in history] == [(1, 4.0), (2, 3.0)]
    record = Path(client.download_artifacts(run.info.run_id, "record.json"))
    assert record.read_text() == Path("work/records", BOTTLE.record).read_text()
    client.delete_tag(run.info.run_id, "cavga.digest")  # as if it had been cut off
    assert main(["track", "--to", "mlflow", "runs"]) == 0
    assert len(client.search_runs([experiment])) == 2
