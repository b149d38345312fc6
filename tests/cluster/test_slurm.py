"""A small build through a SLURM that runs here: GPUs are asked for, a cancelled job comes back, the bytes are the same.

Needs sbatch and a controller that answers, with a partition `main` and two GPUs declared (null devices do).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.paths import ROOT

PROTOCOL = """
id: few_steps
title: demo protocol, cut to a few steps
extends: demo
needs_gpu: true
limits: {images_seen: 16}
methods:
  ae_l2: {training: {images_seen: 16}}
  cavga_d_u: {training: {images_seen: 320}}   # long enough to be cancelled in the middle
"""
TARGETS = [
    "results/few_steps/main_table5_lag.tex",
    "work/records/few_steps/demo_textures/grass/ae_l2/seed0.json",
]
LONG_STEPS = 320 // 16


def why_not() -> str:
    """Return why no job can be submitted here, or an empty string."""
    if shutil.which("sbatch") is None:
        return "no sbatch on this machine"
    seen = subprocess.run(["sinfo", "-h", "-p", "main", "-o", "%T %G"], capture_output=True, text=True)
    if seen.returncode or "gpu:" not in seen.stdout:
        return f"no SLURM controller with a partition 'main' with GPUs: {(seen.stderr or seen.stdout).strip()}"
    return ""


pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(why_not()), reason=f"SLURM: {why_not()}")]


def command(folder: Path, *arguments: str) -> list[str]:
    folder.mkdir()
    (folder / "few_steps.yaml").write_text(PROTOCOL)
    settings = folder / "settings.yaml"
    settings.write_text(f"extra_protocols: ['{folder / 'few_steps.yaml'}']\npaper_on_cpu: true\n")
    words = ["--directory", str(folder), "--configfile", str(settings), *arguments, "--", *TARGETS]
    return [sys.executable, "-m", "snakemake", *words]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("CAVGA", "CUDA"))}


def fit_jobs() -> list[dict[str, str]]:
    """Return what SLURM knows of the fits that run now."""
    text = subprocess.run(["squeue", "-h", "-t", "R", "-o", "%i %k"], capture_output=True, text=True, check=True).stdout
    names = [line.split()[0] for line in text.splitlines() if " rule_fit_" in line]
    shown = [subprocess.run(["scontrol", "-o", "show", "job", n], capture_output=True, text=True).stdout for n in names]
    return [dict(re.findall(r"(\w+)=(\S*)", text)) | {"name": name} for name, text in zip(names, shown, strict=True)]


def long_fit_has_begun(folder: Path) -> bool:
    logs = folder.glob("work/fits/*/log.jsonl")
    return any(f'"of": {LONG_STEPS},' in log.read_text() for log in logs)


def cancel_running_fits(folder: Path, build: subprocess.Popen) -> list[dict[str, str]]:
    """Cancel the fits that run once the long one has done its first step; return what SLURM knew of them."""
    while not long_fit_has_begun(folder):
        assert build.poll() is None, "the build ended before a fit began"
        time.sleep(0.2)
    jobs = fit_jobs()
    subprocess.run(["scancel", *(job["name"] for job in jobs)], check=True)
    return jobs


def computed(folder: Path) -> dict[str, bytes]:
    """Return the files that a build computed, dates and durations excepted."""
    patterns = ("results/**/*.tex", "results/**/*.csv", "work/fits/*/maps.npz", "work/fits/*/weights.safetensors")
    paths = [path for pattern in patterns for path in folder.glob(pattern)]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_slurm_builds_what_a_local_build_does_though_jobs_are_cancelled(tmp_path):
    local = subprocess.run(
        command(tmp_path / "local", "--cores", "2"), cwd=ROOT, env=environment(), capture_output=True
    )
    assert local.returncode == 0, local.stderr.decode()

    folder, log = tmp_path / "cluster", tmp_path / "log"
    words = command(
        folder, "--workflow-profile", "profiles/slurm",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2",
    )  # fmt: skip
    with log.open("w") as file:
        build = subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=file, stderr=file)
        cancelled = cancel_running_fits(folder, build)
        assert build.wait(timeout=1800) == 0, log.read_text()

    assert cancelled
    assert all(re.fullmatch(r"gres.gpu:1", job["TresPerJob"]) for job in cancelled)
    text = log.read_text()
    assert "CANCELLED" in text
    assert re.search(r"rule fit:(\n    .*)*mem_mb=16000", text), "a retry asks for more memory"
    fits = [path.read_text() for path in folder.glob("work/logs/fit/*.log")]
    assert len(fits) == 2
    assert all(re.search(r"CUDA_VISIBLE_DEVICES=[01]\b", text) for text in fits), fits
    assert any("goes on at step" in text for text in fits), "the cancelled fit resumes from its checkpoint"
    assert computed(folder) == computed(tmp_path / "local")
    assert len(computed(folder)) == 1 + 2 + 2
