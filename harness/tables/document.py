"""All tables as one PDF, compiled by pdflatex in a folder of its own. Equal tables give equal bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.data.atomic import atomic_file
from harness.errors import UserError
from harness.tables.render_latex import to_document
from harness.tables.table import AnyTable
from harness.tables.view import BOTH, Options

RUNS = 2
"""A table over several pages learns its columns' widths in the first run."""
SECONDS = 300


def compile_document(tables: Sequence[AnyTable], target: Path, options: Options = BOTH) -> Path:
    """Write `target` and return it. Raises UserError when pdflatex is missing or does not get through."""
    program = shutil.which("pdflatex")
    if program is None:
        raise UserError(f"{target}: pdflatex is not installed; on Debian: apt-get install texlive-latex-extra")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tables.tex").write_text(to_document(tables, options), encoding="utf-8")
        for _ in range(RUNS):
            _run(program, folder, target)
        with atomic_file(target) as temporary:
            shutil.copyfile(folder / "tables.pdf", temporary)
    return target


def _run(program: str, folder: Path, target: Path) -> None:
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "tables.tex"]
    dateless = os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1"}
    try:
        done = subprocess.run(command, cwd=folder, env=dateless, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"{target}: pdflatex did not end within {SECONDS} s") from None
    if done.returncode:
        lines = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("! ")]
        what = lines[0].removeprefix("! ") if lines else "no message"
        raise UserError(f"{target}: pdflatex stopped: {what}; are texlive-latex-recommended and -extra installed?")
