"""The layer tables for LaTeX: the published layers beside the layers of the modules, differences marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.tables.latex_text import escape, prose
from harness.tables.view import caption

HEAD = r"layer & published & output & reproduced & output & \\"


def layer_table(table: Mapping[str, Any]) -> list[str]:
    """Return a longtable: the published tables fill a page, the reproduced ones beside them do not fit one."""
    head = [r"\toprule", HEAD, r"\midrule"]
    lines = [r"{\footnotesize\setlength{\tabcolsep}{4pt}", r"\begin{longtable}{@{}llllll@{}}"]
    lines += [rf"\caption{{{prose(caption(table))}}}\label{{tab:{table['id']}}}\\"]
    lines += [*head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot"]
    network = None
    for row in table["rows"]:
        if row["network"] != network:
            network = row["network"]
            lines += [r"\addlinespace", rf"\multicolumn{{6}}{{@{{}}l}}{{\textbf{{{escape(network)}}}}}\\*"]
        lines.append(_row(row))
    notes = " ".join(prose(note) for note in table["notes"])
    return [*lines, r"\end{longtable}", rf"\noindent {notes}\par", "}"]


def _row(row: Mapping[str, Any]) -> str:
    published, reproduced = row["published"] or {}, row["reproduced"] or {}
    texts = [
        row["layer"],
        published.get("dimensions"),
        published.get("output"),
        reproduced.get("dimensions"),
        reproduced.get("output"),
    ]
    mark = {"": "", "size": r"{\scriptsize size}"}.get(row["word"], r"$\neq$")
    colour = r"\rowcolor{black!8}" if row["word"] == "differs" else ""
    return colour + " & ".join([*(escape(text or "--") for text in texts), mark]) + r"\\"
