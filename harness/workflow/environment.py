"""What the Snakefile does first: hand its jobs their environment, and read what the user has configured."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import load_config, load_datasets
from harness.workflow.guard import guarded, one_line
from harness.workflow.inputs import Grid
from harness.workflow.outputs import Outputs
from harness.workflow.supervise import BUILD, identity
from harness.workflow.targets import check_targets


def hand_over(config: Mapping[str, Any], root: str) -> None:
    """Let jobs read the configuration that the workflow reads, and run with its interpreter.

    `config` is Snakemake's, --config overrides included; `root` the repository. "python" in a job's command then is
    the interpreter that runs Snakemake, also where its environment was not activated. Jobs end when this process has.
    """
    os.environ[BUILD] = identity() or ""
    os.environ["CAVGA_CONFIG"] = json.dumps(dict(config))
    os.environ["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def read_plans(config: Mapping[str, Any]) -> tuple[Grid, Outputs]:
    """Return what the rules ask; a user's mistake, now or at a rule's question, ends the program with one line."""
    with one_line():
        grid = Grid(load_config(config))
        load_datasets(grid.config)
        for path in grid.config.extra_protocols:
            grid.plan(Path(path).stem)
        outputs = Outputs(grid)
    return guarded(grid), guarded(outputs)


def check_first(workflow: Any, outputs: Outputs) -> None:
    """Let a workflow check its targets below results/ before it waits for its turn: it knows them only then."""
    execute = workflow.execute

    def check_and_execute(**settings: Any) -> None:
        with one_line():
            check_targets(workflow.dag_settings.targets, outputs)
        execute(**settings)

    if workflow.is_main_process:
        workflow.execute = check_and_execute


def collect_rarely() -> None:
    """Let Python look for garbage a few times per plan only: a quarter of planning's time went into it.

    Planning makes millions of objects that live until the build ends, and hardly any cycles among them.
    """
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
