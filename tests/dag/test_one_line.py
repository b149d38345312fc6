"""A user's mistake that a rule's function meets: one `error:` line, no traceback, nothing written, no lock left."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.xdist_group("dag")
BRICK = "work/records/demo/demo_textures/brick"


def error(copy, target: str, runs: tuple[str, ...] = ("-n",)) -> str:
    """Return the one line with which Snakemake ends; `runs` are dry ("-n") or real ("-k") ones."""
    results = sorted((copy.folder / "results").rglob("*"))
    said = []
    for option in runs:
        command = [sys.executable, "-m", "snakemake", "--cores", "1", option, target]
        done = subprocess.run(command, cwd=copy.folder, env=copy.environment(), capture_output=True, text=True)
        assert done.returncode == 1
        for word in ("Traceback", "Exception", "Wildcards"):
            assert word not in done.stderr + done.stdout
        (line,) = (line for line in done.stderr.splitlines() if line.startswith("error: "))
        said.append(line)
    assert len(set(said)) == 1
    assert sorted((copy.folder / "results").rglob("*")) == results
    assert not list((copy.folder / ".snakemake" / "locks").glob("*"))
    return said[0]


def test_misspelt_targets(copy):
    for target, words in (
        (f"{BRICK}/cavga_ru/seed0.json", "unknown method 'cavga_ru'; did you mean 'cavga_r_u'"),
        ("work/records/demo/demo_textures/brik/ae_l2/seed0.json", "unknown category of demo_textures 'brik'"),
        ("work/records/demo/mvtec_ad/brick/ae_l2/seed0.json", "demo_textures stands in for it"),
        ("results/demo/minni.tex", "no table, figure or plot is called 'minni'; did you mean 'mini'?"),
        ("results/dem/mini.tex", "unknown protocol 'dem'; did you mean 'demo'?"),
        ("results/demo/mini.txt", "nothing makes this file; made are results/demo/mini.json"),
    ):
        assert words in error(copy, target)


def test_a_real_build_says_the_same_and_leaves_no_lock(copy):
    for target in (f"{BRICK}/cavga_ru/seed0.json", "results/demo/minni.tex"):
        assert "error: " in error(copy, target, runs=("-n", "-k"))


def test_other_targets_are_left_to_snakemake(copy):
    assert "results/demo/mini.html" in copy.snakemake("-n", "./results/demo/mini.html", "results/demo/all")
    copy.snakemake("-n", f"{BRICK}/ae_l2/seed0.json")


def test_a_size_that_a_method_cannot_take(copy):
    text = "id: odd\ntitle: odd\nextends: demo\ndatasets: {mvtec_ad: {size: 48, channels: 3}}\nmethods: {}\n"
    (copy.folder / "odd.yaml").write_text(text)
    copy.edit("config/config.yaml", "extra_protocols: []", "extra_protocols: [odd.yaml]")
    words = "takes images of 32 or 64 pixels, not of 48; change the protocol's `size`"
    said = copy.snakemake("-n", "-p", "results/odd/mini.tex")
    assert [line for line in said.splitlines() if "not measured" in line] == [
        f"not measured under protocol odd: {title} {words}{more}"
        for title, more in (("AE_L2", ", or its option `patch`"), ("CAVGA-D_u", ""), ("CAVGA-R_u", ""))
    ]
    assert set(re.findall(r"harness fit .*--method (\w+)", said)) == {"ae_l2"}, "its patches of textures are fitted"
    assert words in error(copy, "work/records/odd/demo_textures/brick/cavga_d_u/seed0.json")


def test_a_typo_in_a_table(copy):
    copy.edit("tables/mini.yaml", "cavga_d_u", "cavga_du")
    assert "tables/mini.yaml: unknown method 'cavga_du'" in error(copy, "results/demo/mini.tex")
    copy.edit("tables/mini.yaml", "decimals:", "aligned: left\ndecimals:")
    assert "tables/mini.yaml: unknown key 'aligned'; " in error(copy, "results/demo/mini.tex")


def test_a_syntax_error_in_a_baseline(copy):
    copy.append("baselines/autoencoder.py", "\nclass Mine\n    pass\n")
    line = error(copy, "results/demo/mini.tex")
    assert line.startswith("error: baselines/autoencoder.py:")
    assert "expected ':'" in line


def test_an_altered_record_though_its_table_is_there(copy):
    record = copy.folder / BRICK / "ae_l2" / "seed0.json"
    accepted = copy.folder / "records" / record.relative_to(copy.folder / "work" / "records")
    accepted.parent.mkdir(parents=True)
    accepted.write_text(json.dumps(json.loads(record.read_text()) | {"date": "yesterday"}))
    assert "was altered after it was written" in error(copy, "results/demo/mini.tex", runs=("-n", "-k"))
