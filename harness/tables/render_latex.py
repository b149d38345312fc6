"""A table for LaTeX: booktabs, three greys by rank, the reproduced number above the published one.

A fragment is \\input into a document that loads `PACKAGES`; `to_document` makes one that stands alone. Nothing is
scaled: letters have 8 and 7 pt, and columns that do not fit `WIDTH` go into a further part below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from harness.tables.budget import CAVEAT
from harness.tables.latex_text import comment, escape, prose
from harness.tables.render_latex_layers import layer_rows
from harness.tables.table import AnyTable, Head, LayerTable, Table, TableCell, Text
from harness.tables.view import (
    BOTH,
    LEGEND,
    NOTHING,
    READS,
    STATE_TEXT,
    Options,
    Span,
    caption,
    fitting,
    headings,
    lines,
    number_of,
    panels,
    reproduced,
    shade,
    spread,
    spread_kind,
)

PACKAGES = r"""\usepackage[T1]{fontenc}
\usepackage{lmodern}
\usepackage{booktabs}
\usepackage[table]{xcolor}
\usepackage{graphicx}
\usepackage{longtable}"""
MACROS = r"""\providecommand{\tablesize}{\fontsize{8}{9.6}\selectfont}
\providecommand{\belowline}[1]{{\fontsize{7}{8.4}\selectfont\color{black!75}\rule[-0.45ex]{0pt}{0pt}#1}}
\providecommand{\stacked}[1]{$\vcenter{\hbox{\shortstack{\rule{0pt}{2.5ex}#1}}}$}
\providecommand{\upright}[1]{\rotatebox{90}{#1}}"""
GREYS = {3: "0.72", 2: "0.84", 1: "0.93"}
WIDTH = 345.0
"""Points of a line that must do: the default of article, and a proceedings page (122 mm)."""
LETTER, POINT, GAP = 4.3, 2.4, 3.5
"""Points of a letter of 8 pt, of a full stop, and between columns."""
SHORT = {"failed": "f"}
"""What stands for a word in a cell; how much of a mean is there has no room either."""
TALL = 44
"""Lines of numbers on a page."""
LONG = 6
"""Letters of a heading from which on it stands upright."""


def to_latex(table: AnyTable, options: Options = BOTH, *, caveat: bool = True) -> str:
    """Return a table as a LaTeX fragment; `caveat`: what a small budget does not say is said below it."""
    needs = "booktabs, xcolor with option table, graphicx, longtable"
    head = [comment(f"{table.id}, {table.protocol.title}; needs {needs}"), MACROS]
    if isinstance(table, LayerTable):
        return "\n".join([*head, *layer_rows(table, _caption(table))]) + "\n"
    assert isinstance(table, Table)
    shown = Options(fitting(table, options.view), options.spread)
    floats = list(_floats([part for panel in panels(table) for part in _parts(panel, shown)], shown))
    out = []
    for number, tabulars in enumerate(floats):
        again = r"\addtocounter{table}{-1}\caption{(continued)}" if number else _caption(table)
        below = _below(table, shown, caveat=caveat) if number == len(floats) - 1 else []
        out += [
            r"\begin{table}[tbp]",
            r"\centering\tablesize\setlength{\tabcolsep}{1.75pt}",
            _numbered(table),
            again,
            *tabulars,
        ]
        out += (
            [r"\par\medskip", r"\begin{minipage}{\linewidth}\raggedright", *below, r"\end{minipage}"] if below else []
        )
        out.append(r"\end{table}")
    return "\n".join([*head, *out]) + "\n"


def to_document(tables: Iterable[AnyTable], options: Options = BOTH) -> str:
    """Return a document that compiles by itself and holds all tables; the budget's caveat stands once, on top."""
    listed = list(tables)
    body = "\n\\clearpage\n".join(to_latex(table, options, caveat=False) for table in listed)
    # The dates and the identifier that pdflatex writes by default would make two builds differ.
    fixed = r"\pdfinfoomitdate=1\pdftrailerid{}\pdfsuppressptexinfo=-1"
    page = r"\usepackage[a4paper,margin=2cm]{geometry}"
    apart = r"\setlength{\belowcaptionskip}{6pt}"  # captions stand above their tables, and article leaves no room there
    head = [r"\documentclass{article}", fixed, PACKAGES, page, apart, r"\begin{document}"]
    banner = [rf"\noindent\textbf{{{escape(CAVEAT)}}}\par"] if any(t.protocol.reduced for t in listed) else []
    return "\n".join([*head, *banner, body + r"\end{document}"]) + "\n"


def _numbered(table: AnyTable) -> str:
    """Return what gives the table the number that it has in its paper, in any class of document."""
    return rf"\renewcommand{{\thetable}}{{{escape(number_of(table))}}}\def\theHtable{{{table.id}}}"


def _caption(table: AnyTable) -> str:
    """Return the caption: the number comes from `_numbered`."""
    text = caption(table).partition(": ")[2]
    return rf"\caption{{{prose(text)}}}\label{{tab:{table.id}}}"


def _floats(parts: Iterable[tuple[list[str], int]], options: Options) -> Iterator[list[str]]:
    """Yield the tabulars of each page."""
    page: list[str] = []
    left = TALL
    for tabular, height in parts:
        if page and height > left:
            yield page
            page, left = [], TALL
        page += [r"\par\medskip", *tabular] if page else tabular
        left -= height
    yield page


def _parts(table: Table, options: Options) -> Iterator[tuple[list[str], int]]:
    """Yield tabulars that fit a line and a page, each with its height in lines."""
    first = max((len(_row_title(row)) for row in table.rows), default=0)
    room = WIDTH - (max(first, len(table.corner)) * LETTER + GAP)
    for columns in _columns(table, options, room):
        for rows in _pages(table, options):
            yield _tabular(table, rows, columns, options), sum(_height(table.cells[r], options) for r in rows) + 5


def _columns(table: Table, options: Options, room: float) -> Iterator[list[int]]:
    widths = [max(_points(row[c], options) for row in table.cells) + GAP for c in range(len(table.columns))]
    part: list[int] = []
    for c, width in enumerate(widths):
        if part and sum(widths[i] for i in part) + width > room:
            yield part
            part = []
        part.append(c)
    yield part


def _pages(table: Table, options: Options) -> Iterator[list[int]]:
    """Yield the rows of each page: all, or as many whole groups as fit; a group taller than a page is cut."""
    groups: list[list[int]] = []
    tall = 0
    for r, row in enumerate(table.rows):
        height = _height(table.cells[r], options)
        same = groups and (row.group is None or row.group == table.rows[groups[-1][-1]].group)
        if same and tall + height <= TALL - 5:
            groups[-1].append(r)
        else:
            groups.append([r])
            tall = 0
        tall += height
    page: list[int] = []
    for group in groups:
        height = sum(_height(table.cells[r], options) for r in [*page, *group])
        if page and height > TALL - 5:
            yield page
            page = []
        page += group
    yield page


def _stack(cell: TableCell, options: Options) -> list[str]:
    first, *rest = lines(cell, options.view)
    first = NOTHING if "/" in first else SHORT.get(first, first)
    around = spread(cell) if options.spread and options.view in ("both", "reproduced") else ""
    return [first, *([around] if around else []), *rest]


def _points(cell: TableCell, options: Options) -> float:
    return max(sum(POINT if letter == "." else LETTER for letter in line) for line in _stack(cell, options))


def _height(cells: Sequence[TableCell], options: Options) -> int:
    return max(len(_stack(cell, options)) for cell in cells)


def _tabular(table: Table, rows: Sequence[int], columns: Sequence[int], options: Options) -> list[str]:
    heads = [table.columns[c] for c in columns]
    out = [
        rf"\begin{{tabular}}{{@{{}}l{'c' * len(columns)}@{{}}}}",
        r"\toprule",
        *_headings(table.corner, heads),
        r"\midrule",
    ]
    group: str | None = None
    role = table.rows[rows[0]].role
    for r in rows:
        row = table.rows[r]
        if row.group is not None and row.group != group:
            group = row.group
            out += [r"\addlinespace"] * (r != rows[0])
            out.append(rf"\multicolumn{{{len(columns) + 1}}}{{@{{}}l}}{{\textit{{{prose(group)}}}}}\\")
        elif row.role != role:
            out.append(r"\midrule")
        role = row.role
        out += _row(row, [table.cells[r][c] for c in columns], options)
    return [*out, r"\bottomrule", r"\end{tabular}"]


def _headings(corner: str, columns: Sequence[Head]) -> list[str]:
    found = headings(columns)
    out = []
    for level, line in enumerate(found):
        last = level == len(found) - 1
        upright = last and max(len(span.title.text) for span in line) > LONG
        first = escape(corner) if last else ""
        out.append(" & ".join([first, *(_span(span, upright=upright) for span in line)]) + r" \\")
    return out


def _span(span: Span, *, upright: bool) -> str:
    text = _text(span.title) + _superscript(span.marks)
    if upright and text:
        return rf"\upright{{{text}}}"
    return text if span.width == 1 else rf"\multicolumn{{{span.width}}}{{c}}{{{text}}}"


def _row_title(row: Head) -> str:
    return ", ".join(text for text in (row.title.text, " ".join(t.text for t in row.subtitles)) if text)


def _row(row: Head, cells: Sequence[TableCell], options: Options) -> list[str]:
    sources = dict.fromkeys(path for cell in cells for path in cell.records)
    title = _text(row.title) + _superscript(",".join(row.footnotes))
    subtitles = " ".join(map(_text, row.subtitles))
    first = f"{title}, {subtitles}" if subtitles else title
    shown = [comment(f"{row.id}: {', '.join(sources)}")] if sources and row.role != "aggregate" else []
    return [*shown, " & ".join([first, *(_cell(cell, options) for cell in cells)]) + r" \\"]


def _cell(cell: TableCell, options: Options) -> str:
    first, *rest = _stack(cell, options)
    top = _first(first, cell, options)
    stacked = (
        r"\stacked{" + r"\\".join([top, *(rf"\belowline{{{escape(line)}}}" for line in rest)]) + "}" if rest else top
    )
    step = shade(cell, options.view)
    return rf"\cellcolor[gray]{{{GREYS[step]}}}{stacked}" if step else stacked


def _first(text: str, cell: TableCell, options: Options) -> str:
    if options.view in ("published", "difference"):
        return escape(text)
    mark = reproduced(cell)[1]
    marked = escape(text.removesuffix(mark)) + _superscript(mark)
    return rf"\textcolor{{black!55}}{{{marked}}}" if cell.below else marked


def _below(table: Table, options: Options, *, caveat: bool) -> list[str]:
    """Return how to read it, footnotes, notes and reasons, one paragraph each kind."""
    marked = " ".join(f"$^{{{_mark(note.mark)}}}$\\,{prose(note.text)}" for note in table.footnotes)
    notes = " ".join(prose(note) for note in [*table.notes, *([CAVEAT] if caveat and table.protocol.reduced else [])])
    reasons = " ".join(
        f"{escape(line.state.replace('_', ' '))} ({line.count}): {prose(line.reason)}." for line in table.missing[:4]
    )
    missing = f"--: {reasons}" if reasons else ""
    return [line + r"\par" for line in (_key(table, options), marked, notes, missing) if line]


def _key(table: Table, options: Options) -> str:
    """Return what the two lines of a cell, its shade and its grey mean."""
    cells = [cell for _, _, cell in table.by_row()]
    said = [escape(READS[options.view])]
    if any(shade(cell, options.view) for cell in cells):
        line = "column" if table.methods == "rows" else "row"
        steps = ", ".join(
            rf"{{\color[gray]{{{GREYS[step]}}}\rule{{1.4ex}}{{1.4ex}}}} {LEGEND[step]}" for step in (3, 2, 1)
        )
        said.append(f"In its {line}: {steps}; ties have no shade.")
    if any(cell.state == "failed" for cell in cells):
        said.append("f: failed.")
    if any(cell.state == "stale" for cell in cells):
        said.append(rf"$^{{\mathrm{{s}}}}$ {escape(STATE_TEXT['stale'])}.")
    kinds = dict.fromkeys(spread_kind(cell) for cell in cells if options.spread and spread(cell))
    said += [f"Below the number: {escape(kind)}." for kind in kinds]
    return " ".join(said)


def _superscript(marks: str) -> str:
    return f"$^{{{','.join(_mark(mark) for mark in marks.split(','))}}}$" if marks else ""


def _mark(mark: str) -> str:
    return r"\dagger" if mark == "†" else rf"\mathrm{{{mark}}}"


def _text(text: Text) -> str:
    return prose(text.text) if text.latex is None else text.latex
