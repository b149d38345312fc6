"""The layer tables for LaTeX: the published layers beside the layers of the modules, differences marked."""

from __future__ import annotations

from harness.tables.latex_text import escape, prose
from harness.tables.table import LayerRow, LayerTable

HEAD = r"layer & published & output & reproduced & output & \\"
COLUMNS = r"@{}lp{0.25\linewidth}lp{0.25\linewidth}ll@{}"


def layer_rows(table: LayerTable, caption: str) -> list[str]:
    """Return a longtable: the published layers fill a page, the reproduced ones beside them do not fit one."""
    head = [r"\toprule", HEAD, r"\midrule"]
    lines = [
        r"{\tablesize\setlength{\tabcolsep}{3pt}\raggedright",
        rf"\begin{{longtable}}{{{COLUMNS}}}",
        rf"{caption}\\",
    ]
    lines += [*head, r"\endfirsthead", *head, r"\endhead", r"\bottomrule", r"\endfoot"]
    network = None
    for row in table.layers:
        if row.network != network:
            network = row.network
            lines += [r"\addlinespace", rf"\multicolumn{{6}}{{@{{}}l}}{{\textbf{{{escape(network)}}}}}\\*"]
        lines.append(_row(row))
    notes = " ".join(prose(note) for note in table.notes)
    return [*lines, r"\end{longtable}", rf"\noindent {notes}\par", "}"]


def _row(row: LayerRow) -> str:
    sides = [getattr(side, name, "") for side in (row.published, row.reproduced) for name in ("dimensions", "output")]
    mark = {"": "", "size": r"{\fontsize{7}{8.4}\selectfont size}"}.get(row.word, r"$\neq$")
    colour = r"\rowcolor{black!8}" if row.word == "differs" else ""
    return colour + " & ".join([*(escape(text or "--") for text in [row.layer, *sides]), mark]) + r"\\"
