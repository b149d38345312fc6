"""The description of an archive as a Workflow Run RO-Crate: https://www.researchobject.org/workflow-run-crate/."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocrate.rocrate import ROCrate

from harness.config import read_yaml
from harness.paths import ROOT
from harness.records.record import Record
from harness.tables.table import AnyTable

CRATE = "1.1"
"""The version of RO-Crate that the profiles of workflow runs are written for."""
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
LICENCES = "https://spdx.org/licenses/"
WORKFLOW = "Snakefile"
TYPES = {
    ".yaml": "application/yaml", ".cff": "application/yaml", ".tex": "application/x-tex",
    ".lock": "text/plain", ".smk": "text/plain",
}  # fmt: skip


def describe(
    table: AnyTable,
    records: Mapping[str, Record],
    views: Iterable[str],
    content: Mapping[str, bytes],
) -> dict[str, Any]:
    """Return the metadata document: every file, the workflow, and the runs that gave the records and the table.

    Args:
        table: the table.
        records: the records that it was built from, by their names in the archive.
        views: the names of the table's files.
        content: every file of the archive by its name.
    """
    crate = ROCrate(version=CRATE)
    crate.metadata.extra_terms.update(TERMS)
    files = {name: _file(crate, name, content[name]) for name in sorted(content)}
    for name in files:
        if name.endswith(".smk"):
            crate.mainEntity.append_to("hasPart", files[name])
    _describe_root(crate, table, max(record.date for record in records.values()))
    settings = [files[name] for name in files if name.startswith("config/")]
    for name, record in sorted(records.items()):
        cell = f"{record.method} on {record.category} of {record.dataset}, seed {record.seed}"
        facts = {"name": f"{cell}: fit and measured", "endTime": record.date}
        _run(crate, f"#{name}", facts, settings, [files[name]])
    facts = {"name": f"{table.label} built from its records"}
    _run(crate, "#table", facts, [files[name] for name in sorted(records)], [files[name] for name in sorted(views)])
    generated: dict[str, Any] = crate.metadata.generate()
    return generated


def _file(crate: ROCrate, name: str, content: bytes) -> Any:
    """Add a file with its type, size and digest."""
    kind = TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    facts = {"name": name, "encodingFormat": kind, "contentSize": str(len(content))}
    facts["sha256"] = hashlib.sha256(content).hexdigest()
    if name == WORKFLOW:
        return crate.add_workflow(dest_path=name, properties=facts, main=True, lang="snakemake")
    return crate.add_file(dest_path=name, properties=facts)


def _describe_root(crate: ROCrate, table: AnyTable, date: str) -> None:
    about = read_yaml(ROOT / "CITATION.cff")
    crate.name = f"{table.label}: {table.title} ({table.protocol.title})"
    crate.description = table.caption
    crate.datePublished = date
    licence = {"@id": f"{LICENCES}{about['license']}", "@type": "CreativeWork", "name": about["license"]}
    crate.license = crate.add_jsonld(licence | {"description": "see the file LICENSE"})
    crate.root_dataset["conformsTo"] = [
        crate.add_jsonld({"@id": profile, "@type": "CreativeWork", "name": name, "version": profile.rpartition("/")[2]})
        for profile, name in PROFILES.items()
    ]
    crate.root_dataset["author"] = [
        crate.add_jsonld(
            {"@id": f"#author{i}", "@type": "Organization" if "name" in person else "Person", "name": _name(person)}
        )
        for i, person in enumerate(about["authors"])
    ]


def _run(crate: ROCrate, key: str, facts: dict[str, str], used: list[Any], made: list[Any]) -> None:
    action = crate.add_action(crate.mainEntity, key, object=used, result=made, properties=facts)
    crate.root_dataset.append_to("mentions", action)


def _name(author: Mapping[str, str]) -> str:
    return author.get("name") or f"{author.get('given-names', '')} {author.get('family-names', '')}".strip()
