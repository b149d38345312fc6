"""Fingerprints count what computes, and nothing else."""

from pathlib import Path

import pytest

from harness.errors import ConfigError
from harness.records.fingerprint import closure_digest, digest, import_closure

FILES = {
    "pkg/__init__.py": "",
    "pkg/method.py": '"""Doc."""\nfrom pkg.shared import helper\n\n\n'
    'def run(x):\n    """Doc."""\n    # why\n    return helper(x)\n',
    "pkg/shared.py": "from pkg import deep\n\n\ndef helper(x):\n    return deep.VALUE + x\n",
    "pkg/deep.py": "VALUE = 1\n",
    "pkg/other.py": "import pkg.method\n",
}


def write(root: Path, **changes: str) -> Path:
    for name, text in (FILES | changes).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.fixture
def hashed(tmp_path):
    count = iter(range(100))

    def run(**changes: str) -> str:
        return closure_digest(("pkg.method",), write(tmp_path / str(next(count)), **changes))

    return run


def test_closure_follows_imports_but_not_importers(tmp_path):
    assert import_closure(["pkg.method"], write(tmp_path)) == {"pkg.method", "pkg.shared", "pkg.deep", "pkg"}


def test_comments_docstrings_and_blank_lines_are_not_counted(hashed):
    text = FILES["pkg/method.py"].replace("Doc.", "Other words.").replace("# why", "# because\n\n")
    assert hashed(**{"pkg/method.py": text}) == hashed()


@pytest.mark.parametrize("name", ["pkg/method.py", "pkg/shared.py", "pkg/deep.py"])
def test_a_change_anywhere_in_the_closure_counts(hashed, name):
    changed = FILES[name].replace("helper(x)\n", "helper(x) + 0\n").replace("VALUE + x", "VALUE - x")
    assert hashed(**{name: changed.replace("VALUE = 1", "VALUE = 2")}) != hashed()


def test_a_string_that_computes_counts(hashed):
    assert hashed(**{"pkg/deep.py": 'VALUE = 1\nMODE = "a"\n'}) != hashed(**{"pkg/deep.py": 'VALUE = 1\nMODE = "b"\n'})


def test_a_module_that_is_not_imported_does_not_count(hashed):
    assert hashed(**{"pkg/other.py": "import pkg.method\nX = 2\n"}) == hashed()


def test_an_indentation_that_changes_meaning_counts(hashed):
    one = "def helper(x):\n    if x:\n        x = 1\n    return x\n"
    two = "def helper(x):\n    if x:\n        x = 1\n        return x\n"
    assert hashed(**{"pkg/shared.py": one}) != hashed(**{"pkg/shared.py": two})


def test_an_unknown_module_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match=r"pkg\.absent"):
        closure_digest(("pkg.absent",), write(tmp_path))


def test_digest_ignores_the_order_of_keys_only():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
