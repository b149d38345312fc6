"""Fingerprints: hashes of what a number depends on. Never of dates, paths or commits."""

from __future__ import annotations

import ast
import hashlib
import json
import tokenize
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.paths import ROOT

# These modules speak to a person; nothing that they do reaches a weight, a map or a measure.
SILENT = frozenset({"harness.training.progress", "harness.errors"})


def digest(content: Any) -> str:
    """Return the sha256 of a JSON-like value, independent of the order of keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def join_keys(fit_key: str, data_digest: str, measuring_key: str) -> str:
    """Return the fingerprint of a record: which fit, on which data's content, measured how."""
    return digest([fit_key, data_digest, measuring_key])


@cache
def closure_digest(roots: tuple[str, ...], base: Path = ROOT) -> str:
    """Return the hash of every module of the repository that the modules `roots` import, directly or not.

    Comments, blank lines and docstrings are not counted: the syntax tree is hashed, not the text.
    """
    return digest({name: _module_digest(name, base) for name in sorted(import_closure(roots, base))})


def import_closure(roots: Iterable[str], base: Path = ROOT) -> set[str]:
    """Return the names of the repository's modules reachable from `roots` by import statements."""
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name in seen or name in SILENT:
            continue
        seen.add(name)
        todo.extend(_imports(name, base))
    return seen


@cache
def _tree(name: str, base: Path) -> ast.Module:
    path = _file(name, base)
    if path is None:
        raise ConfigError(f"module '{name}': no such file in the repository; check `detector` in config/methods.yaml")
    return ast.parse(path.read_text(), str(path))


def _file(name: str, base: Path) -> Path | None:
    stem = base.joinpath(*name.split("."))
    return next((p for p in (stem.with_suffix(".py"), stem / "__init__.py") if p.is_file()), None)


@cache
def _imports(name: str, base: Path) -> tuple[str, ...]:
    """Return the repository's modules that `name` imports anywhere in its text, type-checking blocks excepted."""
    found: set[str] = set()
    for node in _statements(_tree(name, base)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found.update(n for n in names if _file(n, base) is not None)
    return tuple(sorted(found))


def _statements(node: ast.AST) -> Iterable[ast.stmt]:
    """Yield the statements below a node, type-checking blocks excepted. Expressions are not entered: this is hot."""
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, block, ()):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            yield child
            yield from _statements(child)


_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_LAYOUT = {tokenize.NEWLINE: ";", tokenize.INDENT: "{", tokenize.DEDENT: "}"}


@cache
def _module_digest(name: str, base: Path) -> str:
    # Tokens, not ast.dump: its text changes with the Python version, and records travel between machines.
    path = _file(name, base)
    assert path is not None
    docstrings = set(_docstring_positions(_tree(name, base)))
    with path.open("rb") as file:
        tokens = [t for t in tokenize.tokenize(file.readline) if t.type not in _SKIPPED and t.start not in docstrings]
    text = "".join(_LAYOUT.get(token.type, token.string) for token in tokens)
    return hashlib.sha256(text.encode()).hexdigest()


def _docstring_positions(tree: ast.Module) -> Iterable[tuple[int, int]]:
    """Yield where bare strings stand: docstrings of modules, classes, functions and attributes."""
    for node in _statements(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.col_offset


def pick(mapping: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Return the slice of `mapping` that has `keys`."""
    return {key: mapping[key] for key in keys if key in mapping}
