"""A protocol that needs a GPU on a machine without one: refused in one line with an estimate, or allowed by a key."""

from __future__ import annotations

import json
import re

import pytest

from harness.cli.main import main
from harness.cli.without_gpu import duration

PROTOCOL = """
id: needy
title: made-up protocol
extends: demo
needs_gpu: true
limits: {images_seen: 32, batch_size: 16}
methods: {ae_l2: {training: {images_seen: 32}}}
"""
PLACE = ["--protocol", "needy", "--dataset", "mvtec_ad", "--category", "grass"]


@pytest.fixture
def fit(tmp_path, monkeypatch, capfd):
    """Return a function that fits a cell of the protocol in a folder of its own: exit code and standard error."""
    (tmp_path / "needy.yaml").write_text(PROTOCOL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    def run(**settings):
        config = {"extra_protocols": [str(tmp_path / "needy.yaml")]} | settings
        monkeypatch.setenv("CAVGA_CONFIG", json.dumps(config))
        assert main(["prepare", *PLACE, "--size", "64"]) == 0
        capfd.readouterr()
        return main(["fit", *PLACE, "--method", "ae_l2"]), capfd.readouterr().err

    return run


def test_the_refusal_prints_an_estimate_from_steps_that_are_measured_once(fit, tmp_path):
    code, text = fit()
    assert code == 2
    line = text.splitlines()[-1]
    assert line.startswith("error: the made-up protocol needs a GPU and this machine shows none;")
    assert re.search(r"this fit alone would take about \d+ (seconds|minutes) \(measured steps\) on its CPU", line)
    assert "paper_on_cpu: true" in line
    assert not list(tmp_path.glob("work/fits/*/fit.json"))

    steps = tmp_path / "work" / "steps.json"
    [(group, known)] = json.loads(steps.read_text()).items()
    known["step"]["each"] = 86400.0 * 15  # of two steps
    steps.write_text(json.dumps({group: known}))
    code, text = fit()
    assert code == 2
    assert "this fit alone would take about 30 days (measured steps) on" in text


def test_a_key_allows_the_cpu_and_the_log_says_so_once(fit, tmp_path):
    code, text = fit(paper_on_cpu=True)
    assert code == 0
    assert text.count("no GPU: computing on the CPU") == 1
    assert len(list(tmp_path.glob("work/fits/*/weights.safetensors"))) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 seconds"), (119, "119 seconds"), (120, "2 minutes"), (7200, "2 hours"), (86400 * 41, "41 days")],
)
def test_durations_are_said_in_the_largest_fitting_unit(seconds, text):
    assert duration(seconds) == text
