"""The environment that a workflow's jobs inherit, wherever they run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.supervise import BUILD, identity


def hand_over(config: Mapping[str, Any], root: str) -> None:
    """Let jobs read the configuration that the workflow reads, and run with its interpreter.

    `config` is Snakemake's, --config overrides included; `root` the repository. "python" in a job's command then is
    the interpreter that runs Snakemake, also where its environment was not activated. Jobs end when this process has.
    """
    os.environ[BUILD] = identity() or ""
    os.environ["CAVGA_CONFIG"] = json.dumps(dict(config))
    os.environ["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
