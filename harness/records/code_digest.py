"""Digests of code: the modules that some modules import, hashed without what cannot change what they compute.

Comments, blank lines, docstrings and the words of error messages are left out. Digests are remembered between commands,
for hashing two hundred files is quicker than parsing them; what is remembered counts only while every module of the
repository has the very text that it had then.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import tokenize
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from harness import paths
from harness.errors import ConfigError

PACKAGES = ("harness", "cavga", "baselines")
# These modules speak to a person or find files; nothing that they do reaches a weight, a map or a measure.
SILENT = frozenset({"harness.training.progress", "harness.errors"})
MEMORY = paths.WORK / "code_digests.json"
_SKIPPED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
_LAYOUT = {tokenize.NEWLINE: ";", tokenize.INDENT: "{", tokenize.DEDENT: "}"}


@cache
def code_digest(roots: tuple[str, ...], within: tuple[str, ...] = PACKAGES) -> str:
    """Return the hash of the modules that `roots` import, directly or not, below the packages `within`.

    Raises ConfigError for a module that is not there or cannot be parsed.
    """
    known = _remembered(MEMORY.absolute())
    name = f"{' '.join(roots)} within {' '.join(within)}"
    if name not in known:
        known[name] = _hash(json.dumps({n: _module_digest(n) for n in sorted(import_closure(roots, within))}))
        _remember(known)
    return known[name]


def import_closure(roots: Iterable[str], within: tuple[str, ...] = PACKAGES) -> set[str]:
    """Return the names of the modules below `within` that are reachable from `roots` by import statements."""
    seen: set[str] = set()
    todo = list(roots)
    while todo:
        name = todo.pop()
        if name not in seen and name not in SILENT:
            seen.add(name)
            todo += [found for found in _imports(name) if _is_below(found, within)]
    return seen


def _is_below(name: str, packages: tuple[str, ...]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _file(name: str) -> Path | None:
    stem = paths.ROOT.joinpath(*name.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


@cache
def _tree(name: str) -> ast.Module:
    path = _file(name)
    if path is None:
        raise ConfigError(f"module '{name}': no such file in the repository; check `detector` in config/methods.yaml")
    try:
        return ast.parse(path.read_text(), str(path))
    except SyntaxError as error:
        where = f"{path.relative_to(paths.ROOT)}:{error.lineno}"
        raise ConfigError(f"{where}: {error.msg}; correct this line of Python") from None


@cache
def _imports(name: str) -> tuple[str, ...]:
    """Return the repository's modules that `name` imports anywhere in its text, type-checking blocks excepted."""
    found: set[str] = set()
    for node in _statements(_tree(name)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found.update(n for n in names if _is_below(n, PACKAGES) and _file(n) is not None)
    return tuple(sorted(found))


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements below a node, type-checking blocks excepted. Expressions are not entered: this is hot."""
    for block in ("body", "handlers", "orelse", "finalbody", "cases"):
        for child in getattr(node, block, ()):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            yield child
            yield from _statements(child)


@cache
def _module_digest(name: str) -> str:
    # Tokens, not ast.dump: its text changes with the Python version, and records travel between machines.
    path = _file(name)
    assert path is not None
    silent = list(_silent_spans(_tree(name)))
    with path.open("rb") as file:
        tokens = [token for token in tokenize.tokenize(file.readline) if token.type not in _SKIPPED]
    spoken = [t for t in tokens if not any(start <= t.start and t.end <= end for start, end in silent)]
    return _hash("".join(_LAYOUT.get(token.type, token.string) for token in spoken))


def _silent_spans(tree: ast.Module) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Yield where docstrings stand, and the arguments of errors that are raised."""
    for node in _statements(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield _span(node, node)
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield _span(node.exc.args[0], node.exc.args[-1])


def _span(first: ast.stmt | ast.expr, last: ast.stmt | ast.expr) -> tuple[tuple[int, int], tuple[int, int]]:
    assert last.end_lineno is not None
    assert last.end_col_offset is not None
    return (first.lineno, first.col_offset), (last.end_lineno, last.end_col_offset)


@cache
def _remembered(path: Path) -> dict[str, str]:
    """Return the digests by roots that an earlier command left; none if a source or the file itself was altered."""
    try:
        content = json.loads(path.read_text())
        digests: dict[str, str] = content["digests"]
        sound = content["sources"] == sources_digest() and content["seal"] == _seal(digests)
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return digests if sound else {}


def _remember(digests: dict[str, str]) -> None:
    content = {"sources": sources_digest(), "digests": digests, "seal": _seal(digests)}
    temporary = MEMORY.with_name(f".{MEMORY.name}.{os.getpid()}.tmp")
    with suppress(OSError):  # no work folder yet, or one that cannot be written: the next command parses again
        temporary.write_text(json.dumps(content, indent=1))
        temporary.replace(MEMORY)


def _seal(digests: dict[str, str]) -> str:
    return _hash(json.dumps(digests, sort_keys=True))


@cache
def sources_digest() -> str:
    """Return the hash of names and texts of all modules of the repository's packages."""
    found = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (paths.ROOT / package).rglob("*.py")):
        text = path.read_bytes()
        found.update(f"{path.relative_to(paths.ROOT)}\0{len(text)}\0".encode() + text)
    return found.hexdigest()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
