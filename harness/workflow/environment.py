"""What the Snakefile does first: read what the user has configured, and hand it to the jobs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config import load_config, load_datasets
from harness.paths import ROOT
from harness.tables.plans import Plans
from harness.workflow.guard import guarded, one_line
from harness.workflow.inputs import RuleInputs
from harness.workflow.supervise import BUILD, identity
from harness.workflow.targets import Targets


def set_for_jobs(config: Mapping[str, Any]) -> None:
    """Let jobs read the configuration that the workflow reads, and run with its interpreter.

    `config` is Snakemake's, --config overrides included. "python" in a job's command then is the interpreter that runs
    Snakemake, also where its environment was not activated. Jobs end when this process has.
    """
    os.environ[BUILD] = identity() or ""
    os.environ["CAVGA_CONFIG"] = json.dumps(dict(config))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def read_plans(config: Mapping[str, Any]) -> tuple[RuleInputs, Targets]:
    """Return what the rules ask; a user's mistake, now or at a rule's question, ends the program with one line."""
    with one_line():
        plans = Plans(load_config(config))
        load_datasets(plans.config)
        for path in plans.config.extra_protocols:
            plans.plan(Path(path).stem)
        inputs = RuleInputs(plans)
        targets = Targets(inputs)
    return guarded(inputs), guarded(targets)
