"""Verbs that write what people look at: document, figure, plot, report, sums. None of them needs torch."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from pathlib import Path

from harness.cli.common import add_protocol
from harness.cli.tables import add_options, options_of
from harness.data.atomic import write_text
from harness.errors import UserError

Run = Callable[[argparse.Namespace], int]


def results_folder(protocol: str) -> Path:
    """Return where a protocol's results lie."""
    return Path("results") if protocol == "paper" else Path("results", protocol)


def add_document(parser: argparse.ArgumentParser) -> Run:
    """Compile tables into one PDF with pdflatex."""
    parser.add_argument("tables", nargs="+", type=Path, help="results/….json")
    parser.add_argument("--output", type=Path, default=Path("results/tables.pdf"), help="the PDF")
    add_options(parser)
    return run_document


def run_document(arguments: argparse.Namespace) -> int:
    """Write the PDF."""
    from harness.tables.document import compile_document
    from harness.tables.render import read_table

    compile_document([read_table(path) for path in arguments.tables], arguments.output, options_of(arguments))
    return 0


def add_figure(parser: argparse.ArgumentParser) -> Run:
    """Draw one figure of the paper from maps and prepared data."""
    parser.add_argument("figure", help="a figure of tables/, such as fig1_lag, or a file like one of them")
    add_protocol(parser)
    parser.add_argument("--output", type=Path, help="the PDF; PNG and caption lie beside it")
    return run_figure


def run_figure(arguments: argparse.Namespace) -> int:
    """Write a figure as PDF and PNG, and its caption as JSON."""
    from harness.figures.draw import build
    from harness.figures.spec import load_figure
    from harness.records.plan import Plan

    spec = load_figure(arguments.figure)
    folder = arguments.output.parent if arguments.output else results_folder(arguments.protocol)
    build(Plan.load(arguments.protocol), spec, folder)
    return 0


def add_plot(parser: argparse.ArgumentParser) -> Run:
    """Plot reproduced against published numbers, IoU against the threshold, or training curves."""
    parser.add_argument("plot", help="plot_<table>, plot_thresholds or plot_training")
    add_protocol(parser)
    parser.add_argument("--output", type=Path, help="the PDF; a PNG lies beside it")
    return run_plot


def run_plot(arguments: argparse.Namespace) -> int:
    """Write a plot as PDF and PNG."""
    from harness.figures.draw import save
    from harness.figures.plots import plot

    folder = results_folder(arguments.protocol)
    target = arguments.output or folder / f"{arguments.plot}.pdf"
    save(plot(arguments.plot, target.parent if arguments.output else folder), target.with_suffix(""))
    return 0


def add_report(parser: argparse.ArgumentParser) -> Run:
    """Write the page for auditors: one self-contained HTML file from the tables that are built."""
    add_protocol(parser)
    parser.add_argument("--output", type=Path, help="default: results/[<protocol>/]report.html")
    return run_report


def run_report(arguments: argparse.Namespace) -> int:
    """Write the report."""
    from harness.records.plan import Plan
    from harness.report.build import build_report

    folder = arguments.output.parent if arguments.output else results_folder(arguments.protocol)
    build_report(Plan.load(arguments.protocol), folder, arguments.output or folder / "report.html")
    return 0


def add_sums(parser: argparse.ArgumentParser) -> Run:
    """List files with their sha256, in the form that `sha256sum --check` reads."""
    parser.add_argument("files", nargs="+", type=Path, help="what to list")
    parser.add_argument("--output", type=Path, required=True, help="the list")
    return run_sums


def run_sums(arguments: argparse.Namespace) -> int:
    """Write one line a file."""
    missing = [path for path in arguments.files if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]}: no such file; build it first")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}\n" for path in sorted(arguments.files)]
    write_text(arguments.output, "".join(lines))
    return 0
