"""A report on a small made-up world with hostile names, for a headless Chromium to look at."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from harness.records.plan import Plan
from harness.report.build import build_report
from harness.tables.aggregate import aggregate, write_json
from harness.tables.cells import Evidence
from harness.tables.spec import load_table
from tests import tools, world

HOSTILE = '</script><img src=x onerror="window.hacked=1"><b>bold</b>'
FILE = "test/cut/<img src=x onerror=window.hacked=1>.png"
TABLES = ("table1_threshold", "table3_iou", "table5_auroc_mstc", "main_table7_auroc_mnist_cifar10", "table10_cavga_d")


class WithYardsticks(Evidence):
    """Knows the yardsticks of one category."""

    def yardsticks(self, dataset: str, category: str) -> dict[str, dict[str, float]]:
        known = {"iou": 0.05, "pixel_auroc": 0.5}
        return {"everything": known, "random": known} if category == "brick" else {}


@pytest.fixture(scope="session")
def page(tmp_path_factory) -> Path:
    """The report of a world with three methods on two categories; everything else is missing."""
    folder = tmp_path_factory.mktemp("report")
    before = Path.cwd()
    os.chdir(folder)
    try:
        plan = Plan.load("demo")
        places = [("mvtec_ad", category, method) for category in ("brick", "nut") for method in METHODS]
        _hostile(plan, places[0])
        world.build(plan, [*places, ("mnist", "0", "lsa")], failed=frozenset({("nut", "ae_l2")}))
        results = folder / "results" / "demo"
        for name in TABLES:
            write_json(aggregate(WithYardsticks(plan), load_table(name)), results / f"{name}.json")
        build_report(plan, results, results / "again.html")
        return build_report(plan, results, results / "report.html")
    finally:
        os.chdir(before)


METHODS = ("ae_l2", "gamma_vae_g", "cavga_r_u")


def _hostile(plan: Plan, place: tuple[str, str, str]) -> None:
    """Give a category, a method and an image names that are HTML."""
    dataset, category, method = place
    used = plan.datasets[plan.stand_in(dataset)]
    categories = {**used.categories, category: replace(used.categories[category], title=HOSTILE)}
    plan.datasets = {**plan.datasets, used.id: replace(used, categories=categories)}
    plan.methods = {**plan.methods, method: replace(plan.methods[method], title=f"AE {HOSTILE}")}
    images = world.prepared(plan, plan.cell(*place, 0)).folder / "images.csv"
    text = images.read_text()
    assert "test/cut/000.png" in text
    images.write_text(text.replace("test/cut/000.png", FILE))


@pytest.fixture
def browser(chromium, page):
    """The browser with the report freshly opened from file://."""
    visit(chromium, page.as_uri())
    return chromium


def visit(browser, url: str) -> None:
    """Open a page afresh, and wait until its script has done its work."""
    browser.get("about:blank")
    browser.get(url)
    ready = "return document.documentElement.dataset.ready === 'yes'"
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script(ready), "the page's script did not end")


AXE = "axe-core@4.10.3"


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """The text of axe-core, which npm brings; for tests marked `axe`."""
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", AXE]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = f"npm cannot fetch {AXE}: {done.stderr.strip().splitlines()[-1:]}"
        (pytest.fail if os.environ.get(tools.COMPLETE) else pytest.skip)(reason)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
