"""The verb that reads layers off networks: layers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from harness.cli.common import add_protocol
from harness.data.atomic import write_text
from harness.records.plan import Plan
from harness.tables.layers import rows_path

Run = Callable[[argparse.Namespace], int]


def add_layers(parser: argparse.ArgumentParser) -> Run:
    """Write the layers of a method's networks, as used under a protocol."""
    parser.add_argument("method", help="a method of config/methods.yaml whose detector lists its layers")
    add_protocol(parser)
    parser.add_argument("--dataset", default="mvtec_ad", help="whose image size the networks get (default: mvtec_ad)")
    parser.add_argument("--output", type=Path, help="default: work/layers/<protocol>/<method>.json")
    return run_layers


def run_layers(arguments: argparse.Namespace) -> int:
    """Build the untrained networks and list their layers."""
    # Imported here: the verb's help needs no torch.
    from harness.training.layers import layer_rows

    plan = Plan.load(arguments.protocol)
    category = next(iter(plan.categories(arguments.dataset)))
    cell = plan.cell(arguments.dataset, category, arguments.method, plan.protocol.seeds[0])
    rows = layer_rows(asdict(plan.settings(cell)))
    path = arguments.output or rows_path(plan.protocol.id, arguments.method)
    write_text(path, json.dumps(rows, indent=1) + "\n")
    return 0
