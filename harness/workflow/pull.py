"""What was measured elsewhere comes from a store: checked, whole or not at all, never in place of what counts here."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.cell import Cell, CellKey
from harness.data.atomic import atomic_file, require_space
from harness.errors import EvidenceError, UserError
from harness.paths import ROOT
from harness.records.losses import file_digest
from harness.records.plan import Plan
from harness.records.reading import place_of, read_checked
from harness.records.status import fresh
from harness.workflow.job_status import exclusive, force_to_disk, read_status
from harness.workflow.share import FILES, FITS, INDEX, MAPS, OTHER, RECORDS, STATUS, Share

HERE, PULLED = "here already", "pulled"
MEMORY = Path(".snakemake")


def pull_records(share: Share) -> None:
    """Copy the records that today's sources imply, where no such record was measured here."""
    places: dict[CellKey, list[str]] = {}
    for name in share.store.find("records"):
        try:
            place = place_of(Path(name).parent.with_suffix(".json"), Path("records"))
        except EvidenceError:
            share.faults.append(f"{name}: is no record's place in a store; remove it there")
        else:
            places.setdefault(place, []).append(name)
    for place, names in places.items():
        known = share.cell(place)
        here = fresh(*known) if known else None
        if here is not None and here.believed:
            share.count("records", HERE)
        elif known and not any(_pull_record(share, *known, name) for name in names):
            share.count("records", OTHER)


def _pull_record(share: Share, plan: Plan, cell: Cell, name: str) -> bool:
    """Copy one record if it is sound and today's; tell whether it was."""
    content = share.store.read(name) or b""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder, "record.json")
        probe.write_bytes(content)
        try:
            record = read_checked(probe, cell)
        except EvidenceError as error:
            share.faults.append(str(error).replace(str(probe), name))
            return False
    if record.failed or record.fingerprint != plan.fingerprint(cell, plan.data_digest(cell) or record.data_digest):
        return False
    path = RECORDS / cell.record
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)
        force_to_disk(temporary)
    share.arrived.append(path)
    share.count("records", PULLED, len(content))
    return True


def pull_fits(share: Share) -> None:
    """Copy the fits that today's sources imply and that are not finished here, with their maps."""
    found = share.store.find("fits")
    for key in share.keys(name.split("/")[1] for name in found if name.endswith(f"/{INDEX}")):
        try:
            _pull_fit(share, key)
        except EvidenceError as error:
            share.faults.append(str(error))


def _pull_fit(share: Share, key: str) -> None:
    if _finished(FITS / key):
        share.count("fits", HERE)
        return
    digests, size = _index(share, key)
    require_space(FITS, size, f"fit {key}")
    with exclusive(FITS / key / "lock", f"pull {key}"):
        parts = FITS / key / ".pulled"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        try:
            for name, digest in digests.items():
                share.store.get(f"fits/{key}/{name}", parts / name)
                if file_digest(parts / name) != digest:
                    raise EvidenceError(f"fits/{key}/{name}: is not what was pushed; push it again with --replace")
            if _of_other_data(share, key, parts):
                share.count("fits", "of other data")
                return
            _put_in_place(parts, FITS / key, list(digests))
        finally:
            shutil.rmtree(parts, ignore_errors=True)
    share.arrived += [FITS / key / STATUS, FITS / key / MAPS]
    share.count("fits", PULLED, size)


def _finished(folder: Path) -> bool:
    return (read_status(folder / STATUS) or {}).get("status") == "measured" and (folder / MAPS).exists()


def _index(share: Share, key: str) -> tuple[dict[str, str], int]:
    """Return the sha256 of a fit's files in the order of `FILES`, and their size. Raises EvidenceError."""
    name = f"fits/{key}/{INDEX}"
    try:
        files = json.loads(share.store.read(name) or b"")["files"]
        digests = {file: str(files[file]["sha256"]) for file in FILES if file in files}
        size = sum(int(about["bytes"]) for about in files.values())
    except (ValueError, KeyError, TypeError, AttributeError):
        digests, size, files = {}, 0, {}
    if not {MAPS, STATUS} <= digests.keys() or len(digests) < len(files):
        raise EvidenceError(f"{name}: is no index of a fit; push it again with --replace")
    return digests, size


def _of_other_data(share: Share, key: str, parts: Path) -> bool:
    """Tell whether a fit was trained on other data than those that are prepared here. Raises EvidenceError."""
    status = read_status(parts / STATUS) or {}
    if status.get("status") != "measured":
        raise EvidenceError(f"fits/{key}/{STATUS}: is no finished fit's; push it again with --replace")
    plan, cell = share.plans.fit(key)
    manifest = read_status(plan.data_folder(cell) / "manifest.json")
    return manifest is not None and manifest.get("digest") != status.get("data_digest")


def _put_in_place(parts: Path, folder: Path, names: Sequence[str]) -> None:
    """Move a fit's files where they belong, the status last: without it the fit is not finished."""
    (folder / STATUS).unlink(missing_ok=True)
    (folder / "checkpoint.pt").unlink(missing_ok=True)
    for name in names:
        force_to_disk(parts / name)
        (parts / name).replace(folder / name)
    force_to_disk(folder / STATUS)


def check_idle() -> None:
    """Raise UserError while Snakemake builds in the current folder: it would not see what changes under its hands."""
    if any((MEMORY / "locks").glob("*")):
        raise UserError(f"{MEMORY / 'locks'}: a build runs here; pull when it has ended, or after snakemake --unlock")


def forget(paths: Sequence[Path]) -> None:
    """Let Snakemake forget of which parameters these files were made here earlier: it would make them again.

    Raises UserError where it cannot.
    """
    if not paths or not (MEMORY / "metadata").is_dir():
        return
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    done = subprocess.run([*command, "--cleanup-metadata", *map(str, paths)], capture_output=True, text=True)
    if done.returncode != 0 and "metadata was not present" not in done.stderr:
        last = done.stderr.strip().splitlines()[-1:]
        raise UserError(f"snakemake --cleanup-metadata ended with {done.returncode}: {' '.join(last)}")
