"""Without the environment's packages a verb ends in one sentence with the remedy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from harness.paths import ROOT


@pytest.mark.parametrize("words", [("plan", "results/table3_iou.tex"), ("accept", "lite/*"), ("verify",)])
def test_a_missing_package_is_one_sentence(words: tuple[str, ...]) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-S", "-m", "harness", *words]  # -S: no site-packages, as in a Python of the system
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {sys.executable} has no module '")
    assert ".venv/bin/activate" in done.stderr
    assert len(done.stderr.splitlines()) == 1
