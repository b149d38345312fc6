"""What the Snakefile does first: hand its jobs their environment, and read what the user has configured."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.config import load_datasets, load_protocol
from benchmark.errors import UserError
from benchmark.plan.grid import Grid
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


def read_grid(config: Mapping[str, Any]) -> Grid:
    """Return the plans of all protocols; a mistake in the user's own files ends the program with one line."""
    try:
        grid = Grid(config)
        load_datasets(grid.config)
        for path in grid.config["extra_protocols"]:
            load_protocol(Path(path).stem, grid.config)
    except UserError as error:
        sys.exit(f"error: {error}")
    return grid


def collect_rarely() -> None:
    """Let Python look for garbage a few times per plan only: a quarter of planning's time went into it.

    Planning makes millions of objects that live until the build ends, and hardly any cycles among them.
    """
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)
