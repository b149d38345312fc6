"""Programs that some tests need and a machine with Python alone lacks: their tests are skipped, or fail on request.

With CAVGA_TESTS_COMPLETE set, as in CI, nothing is skipped for want of a program.
"""

from __future__ import annotations

import os
import shutil

import pytest

COMPLETE = "CAVGA_TESTS_COMPLETE"
# marker of the tests: what it needs, one name of each row, and where it comes from
NEEDS = {
    "browser": (
        [("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)],
        "on Debian: apt-get install chromium chromium-driver",
    ),
    "latex": ([("pdflatex",)], "on Debian: apt-get install texlive-latex-extra"),
    "git": ([("git",)], "on Debian: apt-get install git"),
    "crate": ([("rocrate-validator",)], "in an environment of its own: pip install roc-validator"),
    "axe": ([("npm",)], "on Debian: apt-get install npm"),
}


def program(*names: str) -> str | None:
    """Return the path of the first of these programs that is installed."""
    return next(filter(None, map(shutil.which, names)), None)


def require(item: pytest.Item) -> None:
    """Skip a test whose programs are not installed; fail it where CAVGA_TESTS_COMPLETE is set."""
    for marker, (programs, remedy) in NEEDS.items():
        lacking = [names[0] for names in programs if program(*names) is None]
        if lacking and item.get_closest_marker(marker):
            reason = f"no {' and no '.join(lacking)}; {remedy}"
            if os.environ.get(COMPLETE):
                pytest.fail(f"{reason} ({COMPLETE} is set, so nothing may be skipped)", pytrace=False)
            pytest.skip(reason)
