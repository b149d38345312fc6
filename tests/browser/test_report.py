"""The report in a real browser: opens silently, sorts, filters, opens a cell, and shows names as text."""

from __future__ import annotations

import json
import re

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import FILE, HOSTILE

pytestmark = pytest.mark.browser
LIMIT = 15_000_000
"""Bytes of a report that can still be sent by mail."""


def cells(browser, table: str) -> list[tuple[str, str]]:
    """Return (name, first number) of every row shown."""
    script = """return [...document.querySelectorAll(`#${arguments[0]} tbody tr:not([hidden])`)]
        .map((row) => [row.cells[0].textContent.trim(), row.cells[arguments[1]]?.textContent.trim() ?? ""])"""
    return browser.execute_script(script, table, 1)


def column(browser, table: str, number: int) -> list[str]:
    script = """return [...document.querySelectorAll(`#${arguments[0]} tbody tr:not(.reduced):not(.group)`)]
        .map((row) => row.cells[arguments[1]].dataset.v ?? "")"""
    return browser.execute_script(script, table, number)


def press(browser, selector: str, number: int = 0) -> None:
    browser.execute_script("document.querySelectorAll(arguments[0])[arguments[1]].click()", selector, number)


def dialog(browser) -> str:
    return browser.execute_script("const d = document.getElementById('cell'); return d.open ? d.innerText : ''")


def test_opens_without_errors_and_without_requests(browser, page):
    assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    urls = {request["request"]["url"] for request in sent if request["documentURL"] == page.as_uri()}
    assert page.as_uri() in urls
    assert all(url == page.as_uri() or url.startswith("data:") for url in urls), urls
    assert page.stat().st_size < LIMIT


def test_equal_records_give_equal_bytes(page):
    assert page.read_bytes() == page.with_name("again.html").read_bytes()


def test_the_start_page_says_what_is_there_and_how_claims_came_out(browser):
    start = browser.execute_script("return document.getElementById('start').innerText")
    assert "runs stand behind the tables: measured" in " ".join(start.split())
    assert (
        "holds 21, cannot be judged 7, fails 2; on the reproduced ones not judged (demo protocol, a small part"
        in " ".join(start.split())
    )
    assert "Table 3: IoU on MVTec AD" in start
    claims = browser.execute_script("return document.getElementById('claims').textContent")
    assert "CAVGA-Rw at 02: 0.89 against LSA 0.89 (equal)" in claims


def test_headings_sort_by_value_and_back(browser):
    plain = cells(browser, "t-table3_iou")
    number = next(c for c in range(1, 15) if len([v for v in column(browser, "t-table3_iou", c) if v]) > 1)
    for way in ("descending", "ascending"):
        press(browser, f'#t-table3_iou thead [data-c="{number}"] button')
        values = [float(v) for v in column(browser, "t-table3_iou", number) if v]
        assert values == sorted(values, reverse=way == "descending")
        head = browser.find_element(By.CSS_SELECTOR, f'#t-table3_iou thead [data-c="{number}"]')
        assert head.get_attribute("aria-sort") == way
        assert cells(browser, "t-table3_iou")[-1][0] == "mean IoU"
    press(browser, f'#t-table3_iou thead [data-c="{number}"] button')
    assert cells(browser, "t-table3_iou") == plain


def test_filters_hide_what_does_not_match(browser):
    field = browser.find_element(By.CSS_SELECTOR, '[data-filter="run-table"]')
    field.send_keys("nut failed")
    shown = cells(browser, "run-table")
    assert [name for name, _ in shown] == ["demo_textures/nut/ae_l2/seed0"]
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE)
    assert len(cells(browser, "run-table")) > 20


def test_a_cell_opens_its_record_images_curve_and_command(browser):
    target = "#t-table3_iou td.measured"
    press(browser, target)
    text = dialog(browser)
    found = re.search(r"run\s+demo_textures/(\w+)/(\w+)/seed0", text)
    assert found, text
    command = "snakemake --cores 4 --config evidence=fresh --forcerun fit evaluate -- work/records/demo/demo_textures/"
    assert f"{command}{found[1]}/{found[2]}/seed0.json" in text
    assert "fingerprint" in text
    assert browser.execute_script("return document.querySelectorAll('#cell .curve polyline').length") == 1
    assert browser.execute_script("return document.querySelectorAll('#cell .losses polyline').length") == 1
    ready = "return [...document.querySelectorAll('#cell img')].map((i) => i.complete && i.naturalWidth > 100)"
    assert browser.execute_script(ready) == [True, True, True]
    assert "Images one by one" in text


def test_keys_move_open_and_close(browser):
    browser.execute_script("document.querySelector('#t-table3_iou td').focus()")
    active = browser.switch_to.active_element
    active.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert browser.switch_to.active_element.get_attribute("data-i") == "15"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert dialog(browser)
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog(browser)
    assert browser.switch_to.active_element.get_attribute("data-i") == "15"


def test_a_mean_leads_to_its_runs_and_back(browser):
    press(browser, "#t-table3_iou tr.reduced td", 11)
    assert "The runs behind it" in dialog(browser)
    press(browser, "#cell .body li button")
    assert "Measure just this cell again" in dialog(browser)
    press(browser, "#cell .back")
    assert "The runs behind it" in dialog(browser)


def test_a_failed_run_says_why_and_a_link_opens_it(browser, page):
    browser.get(f"{page.as_uri()}#run=demo_textures/nut/ae_l2/seed0")
    browser.refresh()
    text = dialog(browser)
    assert "loss is not finite at step 3" in text
    assert "End of the log" in text


def test_names_that_hold_html_are_shown_as_text(browser):
    assert HOSTILE in [name for name, _ in cells(browser, "t-table3_iou")]
    browser.execute_script("location.hash = '#run=demo_textures/brick/gamma_vae_g/seed0'")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    text = dialog(browser)
    assert HOSTILE in text
    assert FILE in browser.execute_script("return document.getElementById('cell').textContent")
    assert browser.execute_script("return window.hacked") is None
    assert browser.execute_script("return document.querySelectorAll('img[src=x], main th b').length") == 0


def test_fits_a_phone(browser):
    browser.set_window_size(500, 850)
    try:
        overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(overflow) <= 0
    finally:
        browser.set_window_size(1280, 900)
