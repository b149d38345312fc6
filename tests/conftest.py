"""Fixtures that several rooms of tests share."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from selenium import webdriver

from harness import paths
from harness.cell import Cell
from harness.data.prepare import prepare
from harness.data.preparing import preparing
from harness.data.sources import raw_folder
from harness.paths import ROOT
from harness.records.plan import Plan
from tests import tools

FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


def pytest_runtest_setup(item):
    """Before any fixture: does the machine have what the test needs?"""
    tools.require(item)


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """Tests see neither the user's data nor another test's configuration."""
    for name in ("CAVGA_DATA", "CAVGA_CONFIG", "CAVGA_WEIGHTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _records_here(monkeypatch):
    """In tests accepted records and their views lie in the current folder: a test's own, none of the repository's."""
    monkeypatch.setattr(paths, "RECORDS", Path("records"))
    monkeypatch.setattr(paths, "VIEWS", Path("docs", "results"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Plan:
    """The demo protocol's plan with a work folder of its own."""
    for name in ("CAVGA_DATA", "CAVGA_CONFIG", "CAVGA_WEIGHTS"):
        os.environ.pop(name, None)
    plan = Plan.load("demo")
    plan.protocol = replace(
        plan.protocol, seeds=(0, 1)
    )  # validation and weak splits of both seeds are frozen with the data
    plan.work = tmp_path_factory.mktemp("demo") / "work"
    return plan


@pytest.fixture(scope="session")
def prepared(demo):
    """Return a function that prepares a cell's data once and gives its folder at a size."""

    def run(cell: Cell, size: int | None = None) -> Path:
        size = size or demo.settings(cell).size
        folder = demo.data_folder(cell, size)
        if not (folder / "manifest.json").exists():
            entry = demo.dataset(cell)
            how = preparing(demo.protocol, cell.dataset, size)
            prepare(entry, cell.category, raw_folder(entry, demo.work), folder, how)
        return folder

    return run


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """A headless browser of a profile of its own, for tests marked `browser`."""
    options = webdriver.ChromeOptions()
    options.binary_location = tools.program(*tools.NEEDS["browser"][0][0])
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(tools.program("chromedriver")))
    yield browser
    browser.quit()
