"""Another workflow uses this one: Snakemake's `module`, with settings of its own."""

from __future__ import annotations

import re

import pytest

from tests.dag.conftest import Copy

pytestmark = pytest.mark.xdist_group("dag")
OTHER = """
module cavga:
    snakefile: "{snakefile}"
    config: {config}

use rule * from cavga as cavga_*

rule report_of_mine:
    input: "results/demo/mini.csv"
    output: "mine.csv"
    shell: "cp {{input}} {{output}}"
"""


@pytest.mark.parametrize(
    ("config", "below"),
    [({}, {"cavga_prepare": 4, "cavga_fit": 12, "cavga_evaluate": 12}), ({"evidence": "recorded"}, {})],
)
def test_its_tables_are_inputs_of_another_workflow(copy, tmp_path, config, below):
    other = Copy(tmp_path / "other")
    other.folder.mkdir()
    (other.folder / "Snakefile").write_text(OTHER.format(snakefile=copy.folder / "Snakefile", config=config))
    text = other.snakemake("-n", "mine.csv")
    counts = {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", text, re.M)}
    assert counts.pop("total") == sum(counts.values())
    assert counts == {"cavga_aggregate": 1, "cavga_render": 1, "report_of_mine": 1} | below


def test_its_jobs_run_in_another_workflow(copy, tmp_path):
    other = Copy(tmp_path / "other")
    other.folder.mkdir()
    text = OTHER.format(snakefile=copy.folder / "Snakefile", config={"evidence": "recorded"})
    (other.folder / "Snakefile").write_text(text)
    other.snakemake("mine.csv")
    assert (other.folder / "mine.csv").read_bytes() == (other.folder / "results/demo/mini.csv").read_bytes()
