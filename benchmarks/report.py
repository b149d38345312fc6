"""How long it takes to print what was measured, and how large and how quick the report is.

    python benchmarks/report.py [protocol] [opens]

protocol  whose records and maps lie in work/ and records/ of the current folder (default: demo)
opens     how often the report is opened in headless Chromium (default: 5)

Every stage is a process of its own and writes into a temporary folder: wall and CPU seconds, peak memory, bytes
written. Records that are missing are counted first: with many missing the times mean little.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

STAGES = ("tables", "figures", "plots", "document", "report")
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
         "--disable-background-networking", "--disable-component-update", "--disable-sync")  # fmt: skip
READY = """const page = performance.getEntriesByType("navigation")[0];
return document.documentElement.dataset.ready === "yes" ? [page.domContentLoadedEventEnd, page.loadEventEnd] : null"""


def stage(name: str, protocol: str, folder: Path) -> None:
    """Write one kind of output of a protocol into `folder`, as the verbs of the command line do."""
    from harness.cli.main import main
    from harness.figures.extra import EXTRA_PLOTS
    from harness.figures.spec import figure_ids
    from harness.tables.spec import load_table, table_ids

    tables = table_ids()
    if name == "tables":
        for table in tables:
            main(["aggregate", table, "--protocol", protocol, "--output", f"{folder}/{table}.json"])
            main(["render", f"{folder}/{table}.json"])
    elif name == "figures":
        for figure in figure_ids():
            main(["figure", figure, "--protocol", protocol, "--output", f"{folder}/{figure}.pdf"])
    elif name == "plots":
        grids = [f"plot_{table}" for table in tables if load_table(table)["kind"] == "grid"]
        for plot in [*grids, *EXTRA_PLOTS]:
            main(["plot", plot, "--protocol", protocol, "--output", f"{folder}/{plot}.pdf"])
    elif name == "document":
        main(["document", *(f"{folder}/{table}.json" for table in tables), "--output", f"{folder}/tables.pdf"])
    else:
        main(["report", "--protocol", protocol, "--output", f"{folder}/report.html"])
    print("with torch" if "torch" in sys.modules else "without torch", file=sys.stderr)


def measure(name: str, protocol: str, folder: Path) -> None:
    """Run one stage as a process and print what it took."""
    before = {path: path.stat().st_size for path in folder.iterdir()}
    began = time.monotonic()
    command = [sys.executable, __file__, "--stage", name, protocol, str(folder)]
    with tempfile.TemporaryFile("w+") as output:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        output.seek(0)
        text = output.read()
    if status:
        sys.exit(f"{name}\n{text[-3000:]}")
    made = [path for path in folder.iterdir() if path not in before]
    size = sum(path.stat().st_size for path in made) / 1e6
    cpu = usage.ru_utime + usage.ru_stime
    wall, memory = time.monotonic() - began, usage.ru_maxrss / 1024
    took = f"{wall:6.1f} s wall  {cpu:6.1f} s CPU  {memory:5.0f} MiB"
    print(f"{name:9} {len(made):3} files {size:6.2f} MB  {took}  {text.splitlines()[-1]}")


def coverage(folder: Path) -> str:
    """Return how many records the tables rest on, and which tables miss some."""
    from harness.tables.built import read_tables

    tables = read_tables(folder)
    records = {line["path"] for table in tables.values() for line in table.get("provenance", [])}
    if not records:
        sys.exit("no records to print; build some first: snakemake --cores 2 -- results/demo/all")
    holes = [name for name, table in tables.items() if table.get("missing")]
    return f"{len(records)} records; tables with runs missing: {', '.join(holes) or 'none'}"


def opening(page: Path, times: int) -> None:
    """Open a page in headless Chromium, each time with an empty cache, and print its size and how long that took."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        sys.exit("chromium or chromedriver is not installed; on Debian: apt-get install chromium-driver")
    found: list[Any] = []
    for _ in range(times):
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in FLAGS:
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(driver))
        # CPU of the page's main thread: beside the wall it depends little on what else the machine does.
        browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        browser.get(page.as_uri())
        ready = browser.execute_script(READY)
        metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        busy = next(1000 * metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
        found.append(ready and [*ready, busy])
        browser.quit()
    if None in found:
        sys.exit(f"{page}: the page's script did not get through")
    spans = [f"{statistics.median(v):.0f} ms ({min(v):.0f} to {max(v):.0f})" for v in zip(*found, strict=True)]
    took = f"ready after {spans[0]}, loaded after {spans[1]}, CPU of its main thread {spans[2]}"
    print(f"opening   {page.stat().st_size / 1e6:.2f} MB; {took}; {times} times")


def main() -> None:
    """Measure every stage on the records of the current folder."""
    protocol = sys.argv[1] if len(sys.argv) > 1 else "demo"
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for one in STAGES:
            measure(one, protocol, folder)
            if one == "tables":
                print(coverage(folder))
        opening(folder / "report.html", times)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:
        stage(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        main()
