"""Whatever is wrong with a YAML file or CAVGA_CONFIG ends in one line that names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import load_config, load_datasets, read_yaml, validate
from harness.errors import ConfigError
from harness.paths import ROOT

ENTRY = "own:\n  title: Own\n  layout: mvtec\n  access: open\n  categories:\n    {key}: {{title: Zero}}\n"
WRONG: list[tuple[str, bytes, str]] = [
    ("number", ENTRY.format(key="0").encode(), 'line 6: not valid YAML: a key that is no text; write "0" in quotes'),
    ("octal", ENTRY.format(key="01").encode(), 'line 6: .*write "01" in quotes'),
    ("truth", ENTRY.format(key="yes").encode(), 'line 6: .*write "yes" in quotes'),
    ("nothing", ENTRY.format(key="~").encode(), 'line 6: .*write "~" in quotes'),
    ("date", ENTRY.format(key="2026-01-01").encode(), 'line 6: .*write "2026-01-01" in quotes'),
    ("list", ENTRY.format(key="[a, b]").encode(), "line 6: .*a key that is no text; keys are names"),
    ("twice", (ENTRY.format(key="a") + "    a: {title: A}\n").encode(), "line 7: .*the key 'a' twice; remove one"),
    ("two entries", (ENTRY + ENTRY).format(key="a").encode(), "line 7: .*the key 'own' twice"),
    ("tab", b"own:\n\ttitle: Own\n", "line 2: not valid YAML"),
    ("latin", "own: {title: Größe}".encode("latin-1"), "not UTF-8; save it in that encoding"),
    ("utf-16", "own: {title: A}".encode("utf-16"), "not UTF-8; save it in that encoding"),
    ("not printable", b"own: \x07", "not valid YAML"),
    ("empty", b"", "None is not of type 'object'"),
    ("a list", b"- own\n", "is not of type 'object'"),
    ("unhashable anchor", b"own: *nothing\n", "line 1: not valid YAML: found undefined alias"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_wrong_file_is_named_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    config = load_config({"data_root": None, "extra_datasets": [str(path)]})
    with pytest.raises(ConfigError, match=message) as error:
        load_datasets(config)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder; name the YAML file in it"):
        read_yaml(tmp_path)
    with pytest.raises(ConfigError, match=r"gone\.yaml: no such file"):
        read_yaml(tmp_path / "gone.yaml")


def test_a_byte_order_mark_and_merged_keys_are_no_fault(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: &a {x: 1, y: 2}\nb:\n  <<: *a\n  x: 3\n")
    assert read_yaml(tmp_path / "a.yaml")["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "CAVGA_CONFIG: not valid JSON"), ("offline: true", "CAVGA_CONFIG: not valid JSON"),
     ("[1]", "CAVGA_CONFIG: holds no keys, but list"), ('{"offlin": true}', "unknown key 'offlin'; did you mean 'off")],
)  # fmt: skip
def test_broken_json_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.setenv("CAVGA_CONFIG", text)
    with pytest.raises(ConfigError, match=message) as error:
        load_config()
    assert "\n" not in str(error.value)


def test_every_file_of_the_repository_is_read() -> None:
    files = [path for folder in ("config", "tables", "workflow") for path in (ROOT / folder).rglob("*.yaml")]
    assert len(files) > 20
    assert all(read_yaml(path) is not None for path in files)


def test_a_fault_names_where_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"^--config or CAVGA_CONFIG: unknown key 'sedes'; did you mean 'seeds'\?"):
        load_config({"sedes": [0]})
    monkeypatch.setenv("CAVGA_CONFIG", '{"evidence": "recoded"}')
    with pytest.raises(ConfigError, match=r"CAVGA_CONFIG: evidence: 'recoded' is not known; did you mean 'recorded'\?"):
        load_config()


def test_one_of_several_forms_is_told_by_the_one_that_was_meant() -> None:
    entry = {"title": "mine", "layout": "mvtecc", "access": "open", "categories": {"a": {"title": "a"}}}
    with pytest.raises(ConfigError, match=r"x\.yaml: mine\.layout: 'mvtecc' is not known; did you mean 'mvtec'\?"):
        validate({"mine": entry}, "datasets", "x.yaml")


def test_a_data_root_on_the_command_line_wins_over_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("given", "usual"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("CAVGA_DATA", str(tmp_path / "usual"))
    assert load_config({"data_root": None}).data_root == str(tmp_path / "usual")
    assert load_config({"data_root": str(tmp_path / "given")}).data_root == str(tmp_path / "given")
