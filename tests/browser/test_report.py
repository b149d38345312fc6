"""The report in a real browser: opens silently, sorts, filters, opens a cell, and shows names as text."""

from __future__ import annotations

import base64
import json
import re
import zlib

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness.report.build import read_verdict
from tests.browser.conftest import FILE, HOSTILE, visit

pytestmark = pytest.mark.browser
LIMIT = 1_500_000
"""Bytes of a report that opens at once on a phone."""


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


def text_of(browser, name: str) -> str:
    script = "return document.getElementById(arguments[0]).innerText"
    return " ".join(browser.execute_script(script, name).split())


def test_the_first_screen_gives_the_verdict_before_anything_else(browser):
    start = text_of(browser, "start")
    sentences = read_verdict()["sentences"]
    assert all(sentence.replace("_", "") in start.replace("_", "") for sentence in sentences)
    assert start.index(sentences[0][:30]) < start.index("Runs")
    assert "No published number has a reproduced one beside it under this protocol." in start, "stand-ins"
    assert re.search(r"Runs: 7 of \d+ behind the tables have a record", start)
    assert browser.execute_script("return document.querySelector('details.coverage').open") is False
    claims = browser.execute_script("return document.getElementById('claims').textContent")
    assert "CAVGA-Rw at 02: 0.89 against LSA 0.89 (equal)" in claims


def test_what_is_judged_on_print_alone_is_grey(browser):
    script = """const colour = (node) => getComputedStyle(node).color
        return [...document.querySelectorAll('#claim-table td.print .badge')].map(colour)"""
    soft = browser.execute_script("return getComputedStyle(document.querySelector('.hint')).color")
    assert set(browser.execute_script(script)) == {soft}


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


def choose(browser, words: str, state: str | None = None) -> list[str]:
    """Filter the runs and return the ids that are shown."""
    script = """const field = document.querySelector('[data-filter="run-table"]')
        field.value = arguments[0]
        const state = document.getElementById('run-state')
        if (arguments[1] !== null) state.value = arguments[1]
        field.dispatchEvent(new Event('input'))"""
    browser.execute_script(script, words, state)
    return [name for name, _ in cells(browser, "run-table")]


def states(browser) -> set[str]:
    script = """return [...document.querySelectorAll('#run-table tbody tr:not([hidden])')]
        .map((row) => row.cells[4].textContent)"""
    return set(browser.execute_script(script))


def test_the_list_opens_on_runs_with_a_record(browser):
    assert len(cells(browser, "run-table")) == 7
    assert states(browser) == {"measured", "failed"}


def test_filters_mean_the_words_that_they_show(browser):
    assert choose(browser, "nut failed") == ["demo_textures/nut/ae_l2/seed0"]
    assert len(choose(browser, "not measured nut")) > 5
    assert states(browser) == {"not measured"}
    choose(browser, "measured")
    assert states(browser) == {"measured"}
    choose(browser, "", "")
    assert states(browser) >= {"measured", "failed", "not measured"}
    assert len(choose(browser, "ae_l2", "failed")) == 1
    assert choose(browser, "", "with") == choose(browser, "")


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
    assert browser.execute_script("return document.querySelectorAll('#cell .scores rect').length") > 4
    strip = browser.execute_script("return [...document.querySelectorAll('#cell .strip b')].map((b) => b.textContent)")
    assert strip == ["data", "fit", "record", "commit"]
    ready = "return [...document.querySelectorAll('#cell img')].map((i) => i.complete && i.naturalWidth === 96)"
    assert browser.execute_script(ready) == [True] * 4, "the pictures that the record carries"
    assert "Images one by one" in text


def data_of(browser) -> dict:
    packed = browser.execute_script("return document.getElementById('data').textContent")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def columns_of(browser, table: str) -> list[str]:
    return [name for name, _ in data_of(browser)["heads"][table]["columns"]]


def test_keys_move_open_and_close(browser):
    first = browser.execute_script("return Number(document.querySelector('#t-table3_iou td').dataset.i)")
    right_and_down = str(first + 1 + len(columns_of(browser, "table3_iou")))
    browser.execute_script("document.querySelector('#t-table3_iou td').focus()")
    active = browser.switch_to.active_element
    active.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    assert browser.switch_to.active_element.get_attribute("data-i") == right_and_down
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert dialog(browser)
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not dialog(browser)
    assert browser.switch_to.active_element.get_attribute("data-i") == right_and_down


def test_a_mean_leads_to_its_runs_and_back(browser, page):
    at(browser, page, "cell=table3_iou/mean/cavga_r_u")
    assert "The runs behind it" in dialog(browser)
    press(browser, "#cell .body li button")
    assert "Measure just this cell again" in dialog(browser)
    press(browser, "#cell .back")
    assert "The runs behind it" in dialog(browser)


def test_a_failed_run_says_why_and_a_link_opens_it(browser, page):
    text = at(browser, page, "run=demo_textures/nut/ae_l2/seed0")
    assert "loss is not finite at step 3" in text
    assert "End of the log" in text


def at(browser, page, address: str) -> str:
    visit(browser, f"{page.as_uri()}#{address}")
    return dialog(browser)


def test_a_cells_address_is_in_the_url_and_leads_back(browser, page):
    press(browser, "#t-table3_iou td.measured")
    address = browser.execute_script("return location.hash")
    assert re.fullmatch(r"#cell=table3_iou/\w+/\w+", address)
    heading = browser.execute_script("return document.getElementById('cell-title').textContent")
    assert at(browser, page, address[1:])
    assert browser.execute_script("return document.getElementById('cell-title').textContent") == heading
    press(browser, "#cell .close")
    browser.execute_async_script("setTimeout(arguments[0], 50)")
    assert browser.execute_script("return location.hash") == ""


@pytest.mark.parametrize("address", ["cell=table3_iou/brick/nobody", "cell=nothing", "run=a/b/c/seed0"])
def test_an_unknown_address_says_so(browser, page, address):
    assert at(browser, page, address) == ""
    assert browser.execute_script("return document.getElementById('unknown').innerText").startswith("No ")


def test_a_cell_never_measured_has_a_command_that_forces_nothing(browser, page):
    text = at(browser, page, "run=demo_textures/grass/lsa/seed0")
    assert "Measure this cell" in text
    assert "snakemake --cores 4 -- work/records/demo/demo_textures/grass/lsa/seed0.json" in text


def test_no_array_of_nothing_is_carried(browser):
    found = []

    def look(value, path):
        if isinstance(value, list) and len(value) > 1 and all(one is None for one in value):
            found.append(path)
        parts = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
        for key, part in parts:
            look(part, f"{path}/{key}")

    look(data_of(browser), "")
    assert found == []


AUDIT = """const done = arguments[arguments.length - 1]
    axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations.map(
        (one) => `${one.id}: ${one.nodes.length}, ${one.nodes[0].target} ${one.nodes[0].any[0]?.message ?? ''}`)))"""


@pytest.mark.axe
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("address", ["", "run=demo_textures/brick/cavga_r_u/seed0"])
def test_axe_finds_nothing(browser, page, axe, scheme, address):
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        at(browser, page, address)
        browser.set_script_timeout(300)
        browser.execute_script(axe)
        assert browser.execute_async_script(AUDIT) == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_names_of_buttons_and_summaries_are_unique_in_their_section(browser):
    script = """const names = [...document.querySelectorAll('main summary')].map((s) => s.textContent.trim())
        return names.filter((name, i) => names.indexOf(name) !== i)"""
    assert browser.execute_script(script) == []


def test_prints_with_its_evidence_open(browser):
    script = """dispatchEvent(new Event('beforeprint'))
        const open = [...document.querySelectorAll('main details')].every((d) => d.open)
        dispatchEvent(new Event('afterprint'))
        return [open, document.querySelector('details.coverage').open]"""
    assert browser.execute_script(script) == [True, False]


def test_every_cell_has_an_address_yardsticks_too(browser, page):
    last = columns_of(browser, "table3_iou")[-1]
    assert at(browser, page, f"cell=table3_iou/brick/{last}")


def test_yardsticks_are_listed_for_the_categories_that_have_them(browser):
    script = """return [...document.querySelectorAll('#t-table3_iou-yardsticks tbody tr')].map((row) =>
        [...row.cells].some((cell) => cell.dataset.v))"""
    rows = browser.execute_script(script)
    assert len(rows) >= 1
    assert all(rows)


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
