"""What a machine with Python alone does with the tests: skips a few, and says which packages they want."""

import os
import re
import subprocess
import sys

import pytest

from harness.paths import ROOT
from tests.tools import COMPLETE


def run(tmp_path, **variables):
    """Run the tests that need programs in a process that finds none."""
    known = {name: value for name, value in os.environ.items() if name != COMPLETE}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/unit/test_table_views.py"]
    command += ["-m", "latex or browser"]
    return subprocess.run(
        command, cwd=ROOT, env=known | {"PATH": str(tmp_path)} | variables, capture_output=True, text=True
    )


@pytest.mark.slow
def test_without_browser_and_latex_their_tests_are_skipped_with_a_line_each(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED")]
    assert len(lines) == 2
    assert any("apt-get install texlive-latex-extra" in line for line in lines)
    assert any("apt-get install chromium chromium-driver" in line for line in lines)


@pytest.mark.slow
def test_where_the_suite_has_to_be_complete_a_missing_program_is_a_failure(tmp_path):
    done = run(tmp_path, **{COMPLETE: "1"})
    assert done.returncode == 1
    assert re.search(r"\d (failed|error)", done.stdout), done.stdout
    assert "nothing may be skipped" in done.stdout
