"""What was measured here goes to a store: finished fits with their maps, and records."""

from __future__ import annotations

import json

from harness.records.losses import file_digest
from harness.records.reading import place_of
from harness.records.status import fresh
from harness.workflow.job_status import read_status
from harness.workflow.share import FILES, FITS, INDEX, MAPS, OTHER, RECORDS, STATUS, Share

THERE = "there already"


def push_records(share: Share) -> None:
    """Copy the records that were measured here and that today's sources imply.

    Raises EvidenceError for a record that is damaged or altered.
    """
    for path in sorted(RECORDS.rglob("seed*.json")):
        known = share.cell(place_of(path, RECORDS))
        here = fresh(*known) if known else None
        if not known or not here or not here.record:
            continue
        name = f"records/{known[1].record.with_suffix('')}/{here.record.fingerprint}.json"
        if not here.believed:
            share.count("records", "failed" if here.record.failed else OTHER)
        elif share.store.read(name) is not None:
            share.count("records", THERE)
        else:
            content = path.read_bytes()
            share.store.write(name, content)
            share.count("records", "pushed", len(content))


def push_fits(share: Share, *, replace: bool = False) -> None:
    """Copy the finished fits that today's sources imply; with `replace` also those that are there already."""
    for key in share.keys(path.parent.name for path in FITS.glob(f"*/{STATUS}")):
        index = f"fits/{key}/{INDEX}"
        status = read_status(FITS / key / STATUS) or {}
        there = share.store.read(index) is not None
        if status.get("status") != "measured" or not (FITS / key / MAPS).exists():
            share.count("fits", "failed")
        elif there and not replace:
            share.count("fits", THERE)
        else:
            if there:
                share.store.remove(index)
            _push_fit(share, key, index)


def _push_fit(share: Share, key: str, index: str) -> None:
    """Copy a fit's files, then the index that says what they are: without it there is no fit there."""
    files = [path for name in FILES if (path := FITS / key / name).exists()]
    said = {path.name: {"sha256": file_digest(path), "bytes": path.stat().st_size} for path in files}
    for path in files:
        share.store.put(path, f"fits/{key}/{path.name}")
    share.store.write(index, json.dumps({"key": key, "files": said}, indent=1).encode())
    share.count("fits", "pushed", sum(path.stat().st_size for path in files))
