"""Publishing: built tables that follow from the accepted records are copied to where they are committed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness import paths
from harness.audit.verify import differing_views, follows, recorded_plans
from harness.errors import ConfigError
from harness.nearest import hint
from harness.tables.render import FORMATS, read_table


def publish(protocol: str) -> Iterator[tuple[Path, str | None]]:
    """Copy the built tables of a protocol with their views; yield each JSON's new place, and why it was not copied.

    Raises ConfigError for an unknown protocol, or where nothing was built.
    """
    plans = recorded_plans()
    if protocol not in plans.protocols:
        raise ConfigError(f"unknown protocol '{protocol}'; {hint(protocol, plans.protocols)}")
    built = [path for name in plans.tables if (path := paths.results(protocol) / f"{name}.json").is_file()]
    if not built:
        raise ConfigError(
            f"{paths.results(protocol)}: no table was built; run: make results/{paths.where(protocol)}all"
        )
    for path in built:
        table, target = read_table(path), paths.VIEWS / protocol / path.name
        refused = next(iter(differing_views(path, table)), None)
        if refused is None and not follows(path, table, plans):
            refused = "holds numbers that are not accepted; accept them, or build with --config evidence=recorded"
        if refused is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            for view in (path, *(path.with_suffix(f".{form}") for form in FORMATS)):
                shutil.copyfile(view, target.with_name(view.name))
        yield target, refused
