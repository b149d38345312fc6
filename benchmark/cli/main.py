"""`python -m benchmark <verb>`: every stage of the way of the data, and the tools of those who read its results."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from benchmark.cli.guard import guarded

# A verb's module is imported only when the verb is used: `render` must start without torch.
VERBS = {
    "fetch": "benchmark.cli.data",
    "prepare": "benchmark.cli.data",
    "fit": "benchmark.cli.compute",
    "export": "benchmark.cli.compute",
    "evaluate": "benchmark.cli.measure",
    "layers": "benchmark.cli.layers",
    "aggregate": "benchmark.cli.tables",
    "render": "benchmark.cli.tables",
    "show": "benchmark.cli.tables",
    "check": "benchmark.cli.tables",
    "accept": "benchmark.cli.evidence",
    "verify": "benchmark.cli.evidence",
    "trace": "benchmark.cli.audit_trail",
    "diff": "benchmark.cli.audit_trail",
    "archive": "benchmark.cli.audit_trail",
    "document": "benchmark.cli.publish",
    "figure": "benchmark.cli.publish",
    "plot": "benchmark.cli.publish",
    "report": "benchmark.cli.publish",
    "sums": "benchmark.cli.publish",
    "plan": "benchmark.cli.plan",
    "watch": "benchmark.cli.watch",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns 0, 1 when a check finds something, 2 after a user's mistake or on a full disk."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or words[0] in {"-h", "--help"}:
        print(f"usage: python -m benchmark VERB …   (VERB --help explains one)\nverbs: {', '.join(VERBS)}")
        return 0 if words else 2
    verb = words[0]
    if verb not in VERBS:
        print(f"error: unknown verb '{verb}'; known: {', '.join(VERBS)}", file=sys.stderr)
        return 2
    module = importlib.import_module(VERBS[verb])
    parser = argparse.ArgumentParser(prog=f"python -m benchmark {verb}")
    run = getattr(module, f"add_{verb}")(parser)
    return guarded(lambda: run(parser.parse_args(words[1:])), verb)
