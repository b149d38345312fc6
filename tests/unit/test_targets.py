"""What the targets below results/ depend on besides their input files."""

from __future__ import annotations

from harness import paths
from harness.config import load_config
from harness.tables.plans import Plans
from harness.workflow.inputs import RuleInputs
from harness.workflow.targets import Targets


def test_the_report_is_built_again_when_the_verdict_was_written_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "VIEWS", tmp_path)
    targets = Targets(RuleInputs(Plans(load_config())))
    without = targets.report_recipe()
    (tmp_path / "verdict.json").write_text('{"sentences": ["not judged"]}')
    first = targets.report_recipe()
    assert first != without
    assert targets.report_recipe() == first
    (tmp_path / "verdict.json").write_text('{"sentences": ["reproduced"]}')
    assert targets.report_recipe() not in (first, without)
