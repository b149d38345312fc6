"""A table for LaTeX: booktabs, grey by rank in the row, reproduced over published number and difference.

A fragment is \\input into a document that loads `PACKAGES`; `to_document` makes one that stands alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.tables.latex_text import comment, escape, prose
from harness.tables.render_latex_layers import layer_table
from harness.tables.view import Span, caption, coarser, difference, headings, number, shade, spread, spread_kind

PACKAGES = r"""\usepackage[T1]{fontenc}
\usepackage{lmodern}
\usepackage{booktabs}
\usepackage[table]{xcolor}
\usepackage{graphicx}
\usepackage{rotating}
\usepackage{longtable}"""
MACROS = r"""\providecommand{\paperline}[1]{{\scriptsize\color{black!80}\rule[-0.45ex]{0pt}{0pt}#1}}
\providecommand{\stacked}[1]{$\vcenter{\hbox{\shortstack{\rule{0pt}{2.5ex}#1}}}$}
\providecommand{\fittowidth}[1]{\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{#1}}"""
STATE_SIGNS = {"stale": "s", "not_measured": "--", "unavailable": "u", "failed": "f"}
STATE_SIGNS |= {"incomplete": "$n/m$", "not_applicable": r"$\cdot$"}
LEGEND = {
    "stale": "stale (in italics: measured with other sources than today's; neither ranked nor averaged)",
    "not_measured": "not measured",
    "unavailable": "unavailable",
    "failed": "failed",
    "incomplete": "no mean or sum, because only n of m categories are there",
    "not_applicable": "not applicable",
}
WIDE = 11
"""From this many columns on a table lies on its side."""


def to_latex(table: Mapping[str, Any], *, with_spread: bool = False) -> str:
    """Return a table as a LaTeX fragment."""
    packages = ", ".join(("booktabs", "xcolor with option table", "graphicx", "rotating", "longtable"))
    head = [comment(f"{table['id']}, {table['protocol']['title']}; needs {packages}"), MACROS]
    if table["kind"] == "layers":
        return "\n".join([*head, *layer_table(table)]) + "\n"
    environment = "sidewaystable" if _sideways(table) else "table"
    lines = [rf"\begin{{{environment}}}[p]", r"\centering", rf"\caption{{{prose(caption(table))}}}"]
    lines += [rf"\label{{tab:{table['id']}}}", r"\fittowidth{%", *_tabular(table, with_spread), "}"]
    lines += [r"\par\medskip", r"\begin{minipage}{\linewidth}\footnotesize\raggedright", *_below(table, with_spread)]
    return "\n".join([*head, *lines, r"\end{minipage}", rf"\end{{{environment}}}"]) + "\n"


def to_document(tables: Iterable[Mapping[str, Any]], *, with_spread: bool = False) -> str:
    """Return a document that compiles by itself and holds all tables."""
    body = "\n\\clearpage\n".join(_page(table, with_spread) for table in tables)
    # The dates and the identifier that pdflatex writes by default would make two builds differ.
    fixed = r"\pdfinfoomitdate=1\pdftrailerid{}\pdfsuppressptexinfo=-1"
    # The captions say which table of the paper this is; a second numbering would only confuse.
    page = r"\usepackage[a4paper,margin=2cm]{geometry}\usepackage[labelformat=empty]{caption}"
    head = [r"\documentclass{article}", fixed, PACKAGES, page, r"\begin{document}"]
    return "\n".join([*head, body + r"\end{document}"]) + "\n"


def _page(table: Mapping[str, Any], with_spread: bool) -> str:
    """Return a table on a page of its own; a table on its side turns the page, so that a screen shows it upright."""
    text = to_latex(table, with_spread=with_spread)
    if not _sideways(table):
        return text
    return "\n".join([r"\clearpage\global\pdfpageattr{/Rotate 90}", text + r"\clearpage\global\pdfpageattr{}"])


def _sideways(table: Mapping[str, Any]) -> bool:
    return len(table.get("columns", [])) >= WIDE


def _tabular(table: Mapping[str, Any], with_spread: bool) -> list[str]:
    width = len(table["columns"])
    lines = [rf"\begin{{tabular}}{{@{{}}l{'c' * width}}}", r"\toprule", *_headings(table), r"\midrule"]
    group, reduced = None, False
    for row in table["rows"]:
        if row.get("group") != group:
            group = row.get("group")
            lines += [] if lines[-1] == r"\midrule" else [r"\midrule"]
            lines.append(rf"\multicolumn{{{width + 1}}}{{@{{}}l}}{{\textit{{{escape(group or '')}}}}} \\")
        if row["reduced"] and not reduced and lines[-1] != r"\midrule":
            lines.append(r"\midrule")
        reduced = row["reduced"]
        lines += _row(row, with_spread)
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _headings(table: Mapping[str, Any]) -> list[str]:
    spans = headings(table["columns"])
    lines = []
    for level, line in enumerate(spans):
        first = escape(table["corner"]) if level == 0 else ""
        lines.append(" & ".join([first, *(_span(span) for span in line)]) + r" \\")
    return lines


def _span(span: Span) -> str:
    text = _text(span.title, span.latex) + _superscript(span.marks)
    return text if span.width == 1 else rf"\multicolumn{{{span.width}}}{{c}}{{{text}}}"


def _row(row: Mapping[str, Any], with_spread: bool) -> list[str]:
    sources = [path for cell in row["cells"] for path in cell["records"]]
    title = _text(row["title"], row["latex"]) + _superscript(",".join(row.get("footnotes", [])))
    subtitles = " ".join(_text(text["text"], text["latex"]) for text in row.get("subtitles", []))
    first = f"{title}, {subtitles}" if subtitles else title
    cells = [_cell(cell, with_spread) for cell in row["cells"]]
    shown = [comment(f"{row['id']}: {', '.join(sources)}")] if sources and not row["reduced"] else []
    return [*shown, " & ".join([first, *cells]) + r" \\"]


def _cell(cell: Mapping[str, Any], with_spread: bool) -> str:
    paper = number(cell["published"], cell["published_decimals"])
    small = [escape(f"{paper} {difference(cell['difference'], coarser(cell))}".strip())] if paper else []
    around = escape(spread(cell)) if with_spread else ""
    lines = [_reproduced(cell), *(rf"\paperline{{{line}}}" for line in [*([around] if around else []), *small])]
    stacked = lines[0] if len(lines) == 1 else r"\stacked{" + r"\\".join(lines) + "}"
    level = shade(cell)
    return stacked if level is None else rf"\cellcolor[gray]{{{0.98 - 0.24 * level:.3f}}}{stacked}"


def _reproduced(cell: Mapping[str, Any]) -> str:
    if cell["mean"] is not None:
        dagger = r"$^{\dagger}$" if cell["oracle"] else ""
        return escape(number(cell["mean"], cell["decimals"])) + dagger
    if cell["stale_mean"] is not None:
        return rf"\textit{{{escape(number(cell['stale_mean'], cell['decimals']))}}}$^{{\mathrm{{s}}}}$"
    if cell["count"] is not None:
        return rf"{{\scriptsize {cell['count'][0]}/{cell['count'][1]}}}"
    return STATE_SIGNS[cell["state"]]


def _below(table: Mapping[str, Any], with_spread: bool) -> list[str]:
    """Return footnotes, legend and notes, one paragraph each kind."""
    marked = " ".join(f"$^{{{_mark(note['mark'])}}}$\\,{prose(note['text'])}" for note in table["footnotes"])
    cells = [cell for row in table["rows"] for cell in row["cells"]]
    states = {cell["state"] for cell in cells}
    signs = [f"{STATE_SIGNS[state]}: {escape(LEGEND[state])}" for state in STATE_SIGNS if state in states]
    kinds = dict.fromkeys(spread_kind(cell) for cell in cells if with_spread and spread(cell))
    legend = "; ".join([*signs, *(f"below the number: {escape(kind)}" for kind in kinds)])
    notes = " ".join(prose(note) for note in table["notes"])
    return [line + r"\par" for line in (marked, f"{legend}." if legend else "", notes) if line]


def _superscript(marks: str) -> str:
    return f"$^{{{','.join(_mark(mark) for mark in marks.split(','))}}}$" if marks else ""


def _mark(mark: str) -> str:
    return r"\dagger" if mark == "†" else rf"\mathrm{{{mark}}}"


def _text(title: str, latex: str | None) -> str:
    return prose(title) if latex is None else latex
