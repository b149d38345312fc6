"""The whole audit as one JSON-like value: claims, consistency, agreement, findings. No torch, no printing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.audit.agreement import order_of_methods, order_of_positions
from harness.audit.claims import judge_all, load_claims
from harness.audit.consistency import check_all, load_rules
from harness.audit.numbers import PublishedNumbers, ReproducedNumbers
from harness.config import read_yaml, validate
from harness.paths import ROOT
from harness.tables.budget import why_not_judged
from harness.tables.table import AnyTable, Table

FINDINGS = ROOT / "published" / "findings.yaml"


def load_findings(path: Path = FINDINGS) -> list[dict[str, Any]]:
    """Return what is known of the published numbers. Raises ConfigError for a malformed file."""
    findings: list[dict[str, Any]] = read_yaml(path)
    validate(findings, "findings", path)
    return findings


def audit(tables: Mapping[str, AnyTable]) -> dict[str, Any]:
    """Return the audit of some tables by id; what was not built is named as missing.

    Only numbers measured under the paper's protocol judge its claims; of others, `not_judged` says what they are.
    """
    reasons = [why for table in tables.values() if (why := why_not_judged(table.protocol)) is not None]
    numbers = {name: table for name, table in tables.items() if isinstance(table, Table)}
    return {
        "claims": judge_all(load_claims(), PublishedNumbers(), None if reasons else ReproducedNumbers(numbers)),
        "not_judged": reasons[0] if reasons else None,
        "consistency": check_all(load_rules()),
        "agreement": {
            name: {"methods": order_of_methods(table), "positions": order_of_positions(table)}
            for name, table in numbers.items()
        },
        "nearest_measure": {name: table.nearest_measure for name, table in numbers.items()},
        "findings": load_findings(),
    }
