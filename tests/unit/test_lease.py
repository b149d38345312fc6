"""Which GPU a fit gets: made-up lists of devices, real locks, real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace

import pytest
from snakemake.profiles import ProfileConfigFileParser

from harness.config import load_config
from harness.paths import ROOT
from harness.workflow.lease import leased_device, slots, visible_devices

CONFIG = load_config({"data_root": None})
HOLD = """
import sys
from pathlib import Path
from harness.config import load_config
from harness.workflow.lease import leased_device
with leased_device(load_config({"fits_per_gpu": int(sys.argv[2])}), Path(sys.argv[1])) as name:
    print(name, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _no_cluster(monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a function that makes nvidia-smi list so many GPUs."""

    def with_gpus(count: int) -> None:
        tool = tmp_path / "bin" / "nvidia-smi"
        tool.parent.mkdir(exist_ok=True)
        lines = "".join(f"GPU {n}: Made-up (UUID: GPU-{n})\n  MIG 1g.10gb Device 0\n" for n in range(count))
        tool.write_text(f"#!/bin/sh\ncat <<'END'\n{lines}END\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")

    return with_gpus


class Holder:
    """Another process that wants a GPU and keeps it until it is told, or killed."""

    def __init__(self, work, fits_per_gpu: int = 1) -> None:
        command = [sys.executable, "-c", HOLD, str(work), str(fits_per_gpu)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)

    def device(self) -> str:
        return self.process.stdout.readline().strip()

    def waits(self) -> str:
        return self.process.stderr.readline()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def hold(tmp_path):
    with ExitStack() as stack:

        def start(fits_per_gpu: int = 1) -> Holder:
            holder = Holder(tmp_path / "work", fits_per_gpu)
            stack.callback(holder.end)
            return holder

        yield start


@pytest.mark.parametrize(
    ("value", "names"),
    [("0", ["0"]), ("2, 3", ["2", "3"]), ("", []), ("-1", []), ("1,-1,0", ["1"]), ("GPU-8932f937", ["GPU-8932f937"])],
)
def test_the_variable_says_which_devices_there_are(machine, monkeypatch, value, names):
    machine(4)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible_devices() == names


def test_without_the_variable_the_driver_says_it(machine, monkeypatch, tmp_path):
    machine(2)
    assert visible_devices() == ["0", "1"]
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices() == []


def test_slots_count_devices_times_the_fits_that_share_one(machine):
    machine(2)
    assert slots(CONFIG) == 2
    assert slots(replace(CONFIG, fits_per_gpu=3)) == 6
    assert slots(replace(CONFIG, device="cpu")) == 0


def test_a_lease_sets_the_variable_and_puts_it_back(machine, monkeypatch, tmp_path):
    machine(1)
    with leased_device(CONFIG, tmp_path) as name:
        assert name == os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with leased_device(CONFIG, tmp_path) as name:
        assert name == os.environ["CUDA_VISIBLE_DEVICES"] == "2"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,3"


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_nothing_is_leased_where_the_configuration_chose(machine, tmp_path, device):
    machine(2)
    with leased_device(replace(CONFIG, device=device), tmp_path) as name:
        assert name is None


def test_nothing_is_leased_without_a_gpu(machine, tmp_path):
    machine(0)
    with leased_device(CONFIG, tmp_path) as name:
        assert name is None


@pytest.mark.parametrize("cluster", ["SLURM_JOB_ID"])
def test_the_one_device_that_a_cluster_gave_is_not_leased_again(monkeypatch, tmp_path, cluster):
    monkeypatch.setenv(cluster, "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with leased_device(CONFIG, tmp_path) as name:
        assert name is None
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "1"
    assert not (tmp_path / "locks").exists()


def test_several_devices_of_one_slurm_job_are_leased_within_that_job(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with leased_device(CONFIG, tmp_path) as first:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        with leased_device(CONFIG, tmp_path) as second:
            assert (first, second) == ("0", "1")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        monkeypatch.setenv("SLURM_JOB_ID", "8")  # its device 0 is another one
        with leased_device(CONFIG, tmp_path) as other:
            assert other == "0"


def test_processes_get_different_devices_and_a_killed_one_frees_its_own(machine, hold):
    machine(2)
    holders = [hold(), hold()]
    assert sorted(holder.device() for holder in holders) == ["0", "1"]
    third = hold()
    assert third.waits().startswith("waiting for a free GPU among 0, 1;")
    holders[1].process.kill()  # SIGKILL: nothing of its own can run any more
    assert third.device() in {"0", "1"}
    assert holders[0].process.poll() is None


def test_small_fits_may_share_a_device(machine, hold):
    machine(1)
    holders = [hold(fits_per_gpu=2), hold(fits_per_gpu=2)]
    assert [holder.device() for holder in holders] == ["0", "0"]
    assert hold(fits_per_gpu=2).waits().startswith("waiting for a free GPU among 0;")


def test_fits_are_spread_over_the_devices_before_they_share_one(machine, hold):
    machine(2)
    assert sorted(holder.device() for holder in (hold(2), hold(2))) == ["0", "1"]


@pytest.mark.parametrize(("gpus", "limit"), [(0, 0), (1, 1), (4, 4)])
def test_the_default_profile_limits_fits_to_the_gpus_found(machine, monkeypatch, gpus, limit):
    machine(gpus)
    monkeypatch.chdir(ROOT)
    with (ROOT / "profiles" / "default" / "profile.yaml").open() as file:
        assert ProfileConfigFileParser().parse(file)["resources"] == [f"gpu={limit}"]


def test_the_limit_counts_the_fits_that_share_a_gpu(machine, monkeypatch):
    machine(2)
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("CAVGA_CONFIG", '{"fits_per_gpu": 3}')
    with (ROOT / "profiles" / "default" / "profile.yaml").open() as file:
        assert ProfileConfigFileParser().parse(file)["resources"] == ["gpu=6"]
