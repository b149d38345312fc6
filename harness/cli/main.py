"""`python -m harness <verb>`: every stage of the way of the data, and the tools of those who read its results."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from harness.workflow.job import guarded

# A verb's module is imported only when the verb is used: `render` must start without torch.
VERBS = {
    "fetch": "harness.cli.data",
    "prepare": "harness.cli.data",
    "fit": "harness.cli.compute",
    "evaluate": "harness.cli.measure",
    "layers": "harness.cli.layers",
    "aggregate": "harness.cli.tables",
    "render": "harness.cli.tables",
    "show": "harness.cli.tables",
    "check": "harness.cli.tables",
    "accept": "harness.cli.evidence",
    "verify": "harness.cli.evidence",
    "trace": "harness.cli.audit_trail",
    "compare": "harness.cli.audit_trail",
    "archive": "harness.cli.audit_trail",
    "verdict": "harness.cli.audit_trail",
    "document": "harness.cli.publish",
    "figure": "harness.cli.publish",
    "plot": "harness.cli.publish",
    "report": "harness.cli.publish",
    "sums": "harness.cli.publish",
    "publish": "harness.cli.evidence",
    "plan": "harness.cli.plan",
    "watch": "harness.cli.watch",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns 0, 1 when a check finds something, 2 after a user's mistake or on a full disk."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"-h", "--help"}:
        print(f"usage: python -m harness VERB …   (VERB --help explains one)\nverbs: {', '.join(VERBS)}")
        return 0 if words else 2
    verb = words[0]
    if verb not in VERBS:
        print(f"error: unknown verb '{verb}'; known: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(VERBS[verb])
    parser = argparse.ArgumentParser(prog=f"python -m harness {verb}")
    run = getattr(module, f"add_{verb}")(parser)
    return guarded(lambda: run(parser.parse_args(words[1:])), verb)
