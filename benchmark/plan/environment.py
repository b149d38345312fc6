"""The environment that a workflow's jobs inherit, wherever they run."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def hand_over(config: Mapping[str, Any], root: str) -> None:
    """Let jobs read the configuration that the workflow reads, and run with its interpreter.

    `config` is Snakemake's, --config overrides included; `root` the repository. "python" in a job's command then is
    the interpreter that runs Snakemake, also where its environment was not activated.
    """
    os.environ["CAVGA_CONFIG"] = json.dumps(dict(config))
    os.environ["PYTHONPATH"] = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def collect_rarely() -> None:
    """Let Python look for garbage a few times per plan only: a quarter of planning's time went into it.

    Planning makes millions of objects that live until the build ends, and hardly any cycles among them.
    """
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
