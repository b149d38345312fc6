"""Digests of closures are remembered only while every source has the text that it had."""

from __future__ import annotations

import json

import pytest

from harness.errors import ConfigError
from harness.records import code_digest as closures
from harness.records import fingerprint

UNPATCHED = fingerprint.closure_digest
ROOTS = ("harness.data.prepare",)


@pytest.fixture
def parsed(monkeypatch, tmp_path):
    """Work in an empty folder; return the closures that were parsed, and a function that begins a new process."""
    calls: list[tuple[str, ...]] = []
    real = fingerprint.closure_digest.__wrapped__
    monkeypatch.setattr(fingerprint, "closure_digest", lambda roots: calls.append(roots) or real(roots))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "work").mkdir()

    def forget() -> None:
        for function in (closures.closure_digest, closures._known, closures.sources_digest):
            function.cache_clear()

    forget()
    yield calls, forget
    forget()


def test_a_second_command_parses_nothing_and_says_the_same(parsed):
    calls, forget = parsed
    first = closures.closure_digest(ROOTS)
    forget()
    assert closures.closure_digest(ROOTS) == first == fingerprint.closure_digest(ROOTS)
    assert calls == [ROOTS, ROOTS]  # the second one is this test's own


@pytest.mark.parametrize("harm", ["{", "{}", '{"sources": 1, "digests": {"a": "b"}, "seal": "x"}', None])
def test_a_damaged_or_altered_memory_is_not_believed(parsed, harm):
    calls, forget = parsed
    first = closures.closure_digest(ROOTS)
    content = json.loads(closures.MEMORY.read_text())
    content["digests"][" ".join(ROOTS)] = "forged"
    closures.MEMORY.write_text(harm or json.dumps(content))
    forget()
    assert closures.closure_digest(ROOTS) == first
    assert len(calls) == 2


def test_any_edit_of_any_module_is_seen(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "one.py").write_text("ONE = 1\n")
    seen = [closures.sources_digest.__wrapped__(tmp_path)]
    for path, text in (("package/one.py", "ONE = 2\n"), ("package/two.py", ""), ("three.py", "")):
        (tmp_path / path).write_text(text)
        seen.append(closures.sources_digest.__wrapped__(tmp_path))
    assert len(set(seen)) == 4


def test_a_syntax_error_names_file_and_line(parsed, monkeypatch, tmp_path):
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "mine.py").write_text("import torch\n\n\nclass Mine\n    pass\n")
    parse = UNPATCHED.__wrapped__
    monkeypatch.setattr(fingerprint, "closure_digest", lambda roots: parse(roots, tmp_path))
    monkeypatch.setattr(closures, "ROOT", tmp_path)
    with pytest.raises(ConfigError, match=r"^baselines/mine.py:4: expected ':'; correct this line") as caught:
        closures.closure_digest(("baselines.mine",))
    assert "\n" not in str(caught.value)


def test_without_a_work_folder_nothing_is_written(parsed, tmp_path):
    (tmp_path / "work").rmdir()
    assert closures.closure_digest(ROOTS)
    assert list(tmp_path.iterdir()) == []
