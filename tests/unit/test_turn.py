"""A build's turn: what it changes in Snakemake's settings before it plans."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from types import SimpleNamespace

import pytest
from snakemake.settings.types import DAGSettings, MaxJobsPerTimespan, SchedulingSettings

from harness.workflow.turn import Turn

LIMIT = MaxJobsPerTimespan(100)


def found(local: bool = True, dryrun: bool = False, **asked: frozenset[str]) -> SimpleNamespace:
    """Return the settings that Snakemake's own `execute` finds."""
    seen = SimpleNamespace()
    workflow = SimpleNamespace(
        is_main_process=True,
        scheduling_settings=SchedulingSettings(max_jobs_per_timespan=LIMIT),
        dag_settings=DAGSettings(**asked),
    )
    workflow.execute = lambda **_: vars(seen).update(vars(workflow))
    Turn(workflow, ["table1", "table2"])
    common = SimpleNamespace(local_exec=local, dryrun_exec=dryrun)
    workflow.execute(executor_plugin=SimpleNamespace(common_settings=common))
    return seen


@pytest.mark.parametrize(("local", "expected"), [(True, None), (False, LIMIT)])
def test_jobs_a_second_are_limited_on_clusters_only(local, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found(local).scheduling_settings.max_jobs_per_timespan == expected


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder with two committed tables, of which one was also built here."""
    monkeypatch.chdir(tmp_path)
    for name in ("table1.json", "table1.tex", "table2.json", "table2.tex", "fig2.png"):
        (tmp_path / "results" / "lite").mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / "lite" / name).touch()
    known = tmp_path / ".snakemake" / "metadata"
    known.mkdir(parents=True)
    for name in (b"results/lite/table2.json", b"results/lite/table2.tex"):
        (known / urlsafe_b64encode(name).decode()).touch()


@pytest.mark.parametrize("dryrun", [False, True])
@pytest.mark.parametrize(
    ("target", "afresh"),
    [
        ("results/lite/table1.tex", {"results/lite/table1.tex", "results/lite/table1.json"}),
        ("./results/lite/table1.csv", {"results/lite/table1.json"}),
        ("results/lite/table2.tex", set()),
        ("results/lite/plot_table1.pdf", {"results/lite/table1.json"}),
        ("results/lite/report.html", {"results/lite/table1.json"}),
        ("results/lite/all", {"results/lite/table1.json", "results/lite/table1.tex"}),
        ("results/table1.tex", set()),
        ("work/records/lite/a/b/c/seed0.json", set()),
        (".", set()),
    ],
)
@pytest.mark.usefixtures("clone")
def test_what_a_clone_brought_along_is_made_afresh(target, afresh, dryrun):
    assert found(dryrun=dryrun, targets=frozenset({target})).dag_settings.forcerun == afresh


@pytest.mark.usefixtures("clone")
def test_what_was_asked_to_be_made_again_still_is():
    settings = found(targets=frozenset({"results/lite/table1.csv"}), forcerun=frozenset({"render"})).dag_settings
    assert settings.forcerun == {"render", "results/lite/table1.json"}
