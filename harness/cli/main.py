# PYTHON_ARGCOMPLETE_OK
"""`cavga-bench <verb>`: every stage of the way of the data, and the tools of those who read its results."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from harness.nearest import hint
from harness.workflow.job import guarded

PROGRAM, PACKAGE = "cavga-bench", "cavga-benchmark"
OURS = ("harness", "cavga", "baselines")
INTERRUPTED = 128 + signal.SIGINT


class Verb(NamedTuple):
    """Where a verb is defined, and one sentence on it. The module is imported only when the verb is used."""

    module: str
    about: str


GROUPS = {
    "before and during a build": {
        "plan": Verb("plan", "say what a build would find, run and cost, before anything is paid"),
        "run": Verb("run", "build a subset of a table by name: methods, categories, seeds"),
        "watch": Verb("watch", "show the running fits with loss, images a second, time left and device"),
    },
    "the stages, which the workflow calls": {
        "fetch": Verb("data", "bring a dataset's raw files into work/raw, verified"),
        "prepare": Verb("data", "turn one category's raw images into arrays and a manifest"),
        "fit": Verb("compute", "fit one method on one category and predict its test images"),
        "evaluate": Verb("measure", "measure one cell's maps and scores and write its record"),
        "layers": Verb("layers", "write the layers of a method's networks"),
        "aggregate": Verb("tables", "collect the records of one table into its JSON"),
        "render": Verb("tables", "render a table's JSON as CSV, LaTeX or HTML"),
        "document": Verb("publish", "compile tables into one PDF with pdflatex"),
        "figure": Verb("publish", "draw one figure of the paper from maps and prepared data"),
        "plot": Verb(
            "publish", "plot reproduced against published numbers, IoU against the threshold, or training curves"
        ),
        "report": Verb("publish", "write the page for auditors: one self-contained HTML file"),
        "sums": Verb("publish", "list files with their sha256, in the form that sha256sum --check reads"),
    },
    "reading results": {
        "show": Verb("tables", "print a table in the terminal"),
        "check": Verb("tables", "exit with 1 if a built table holds a failed cell"),
        "trace": Verb("audit_trail", "print the chain from a printed number to the command that measures it again"),
        "compare": Verb("audit_trail", "compare two methods or two folders of records, paired over seeds and images"),
        "records": Verb("records", "write all records as one CSV or Parquet file, a row a measure"),
        "track": Verb("trackers", "write records with curves and pictures for TensorBoard or MLflow"),
        "verdict": Verb("audit_trail", "judge the paper's claims from accepted records"),
    },
    "keeping evidence": {
        "accept": Verb("evidence", "copy fresh records into records/ after validation, and show what changes"),
        "publish": Verb("evidence", "copy built tables that follow from accepted records to docs/results"),
        "verify": Verb("evidence", "check every record, and that the committed views follow from the records"),
        "push": Verb("share", "copy fits, maps and records to a folder or an address that fsspec reaches"),
        "pull": Verb("share", "copy from there what today's sources imply, so that nothing is trained again"),
        "archive": Verb("audit_trail", "pack a table with everything behind it as an RO-Crate"),
    },
}
VERBS = {name: verb for group in GROUPS.values() for name, verb in group.items()}


class Parser(argparse.ArgumentParser):
    """Ends with one line that names the nearest option for one that it does not know."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        known = [option for action in self._actions for option in action.option_strings if option.startswith("--")]
        unknown = next((word for word in message.split() if word.startswith("--")), None)
        if unknown is not None and message.startswith("unrecognized"):
            message = f"unknown option '{unknown}'; {hint(unknown.partition('=')[0], known)}"
        self.exit(2, f"error: {self.prog.removeprefix(PROGRAM).strip()}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns 0, 1 when a check finds something, 2 after a user's mistake or on a full disk, 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if "_ARGCOMPLETE" in os.environ:
        complete()
    if not words or words[0] in {"-h", "--help"}:
        print(usage())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"{PROGRAM} {importlib.metadata.version(PACKAGE)}")
        return 0
    if words[0] not in VERBS:
        print(f"error: unknown verb '{words[0]}'; {hint(words[0], VERBS)}", file=sys.stderr)
        return 2
    try:
        status = run(*words)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        remedy = "`source .venv/bin/activate` first (`make` creates it)"
        print(f"error: {sys.executable} has no module '{error.name}'; {remedy}", file=sys.stderr)
        status = 2
    if status == INTERRUPTED:
        print(f"{words[0]}: interrupted; give the command again to go on", file=sys.stderr)
    return status


def run(verb: str, *words: str) -> int:
    """Run a verb that exists with its arguments, and return the exit code."""
    parser = Parser(prog=f"{PROGRAM} {verb}", description=f"{VERBS[verb].about}.".capitalize())
    work = getattr(importlib.import_module(f"harness.cli.{VERBS[verb].module}"), f"add_{verb}")(parser)
    return guarded(lambda: work(parser.parse_args(words)), verb)


def usage() -> str:
    """Return the page of all verbs, one sentence each."""
    lines = [f"usage: {PROGRAM} VERB …   ({PROGRAM} VERB --help explains one; {PROGRAM} --version)"]
    for title, verbs in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:<10} {verb.about}" for name, verb in verbs.items())]
    return "\n".join(
        [*lines, "", f'completion: eval "$(register-python-argcomplete {PROGRAM})" (bash, zsh; fish: -s fish)']
    )


def complete() -> None:
    """Answer the shell's question for completions, and exit."""
    import argcomplete

    parser = argparse.ArgumentParser(prog=PROGRAM)
    verbs = parser.add_subparsers()
    for name, verb in VERBS.items():
        getattr(importlib.import_module(f"harness.cli.{verb.module}"), f"add_{name}")(verbs.add_parser(name))
    argcomplete.autocomplete(parser)
