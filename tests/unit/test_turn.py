"""A build's turn: what it changes in Snakemake's settings before it plans."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from snakemake.settings.types import MaxJobsPerTimespan, SchedulingSettings

from benchmark.plan.turn import Turn

LIMIT = MaxJobsPerTimespan(100)


def limit(local: bool) -> MaxJobsPerTimespan | None:
    """Return the limit that Snakemake's own `execute` finds."""
    seen = []
    settings = SchedulingSettings(max_jobs_per_timespan=LIMIT)
    workflow = SimpleNamespace(is_main_process=True, scheduling_settings=settings)
    workflow.execute = lambda **_: seen.append(workflow.scheduling_settings.max_jobs_per_timespan)
    Turn(workflow)
    common = SimpleNamespace(local_exec=local, dryrun_exec=False)
    workflow.execute(executor_plugin=SimpleNamespace(common_settings=common))
    return seen[0]


@pytest.mark.parametrize(("local", "expected"), [(True, None), (False, LIMIT)])
def test_jobs_a_second_are_limited_on_clusters_only(local, expected, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert limit(local) == expected
