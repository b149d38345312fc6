"""Who may import whom, and what must never be imported to plan, aggregate and render."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from harness.paths import ROOT
from harness.records.code_digest import import_closure

PACKAGES = ("harness", "cavga", "baselines")
MODULES = sorted(p for package in PACKAGES for p in (ROOT / package).rglob("*.py"))
TORCH_FREE = ("tables", "audit", "records", "metrics", "figures", "report", "workflow", "data", "trackers")


def imports(path: Path) -> set[str]:
    """Return the top-level names that a file imports, type-checking blocks excepted."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def names(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_arrows_between_packages(path):
    package = path.relative_to(ROOT).parts[0]
    if package == "harness":
        assert not names(path) & {"cavga", "baselines"}
    if package == "cavga":
        assert "baselines" not in names(path)
    if package == "baselines":
        assert {n for n in imports(path) if n.split(".")[0] == "cavga"} <= {"cavga.attention"}


FLOORS = [
    {"errors", "paths", "nearest", "limits", "gpus"},
    {"cell", "dataset", "settings", "sides", "config", "protocols"},
    {"data", "metrics"},
    {"training"},
    {"records"},
    {"tables"},
    {"figures", "audit"},
    {"report"},
    {"workflow", "estimate", "trackers"},
    {"cli"},
    {"__main__"},
]
"""From the ground up: an import may only go down, or along its floor to a room that does not import it in turn."""


def room(name: str) -> str:
    """Return the room of a module harness.<room>.…"""
    return name.split(".")[1]


def imports_between_rooms() -> dict[tuple[str, str], str]:
    """Return the imports from one room of the harness to another, each with a module that does it."""
    found = {}
    for path in MODULES:
        name = module(path)
        if name.startswith("harness.") and not name.endswith("__init__"):
            for other in imports(path):
                if other.startswith("harness.") and room(other) != room(name):
                    found[room(name), room(other)] = f"{name} imports {other}"
    return found


def test_every_room_has_its_floor():
    rooms = {path.relative_to(ROOT).parts[1].removesuffix(".py") for path in MODULES if module(path)[:8] == "harness."}
    assert rooms - {"__init__"} == set.union(*FLOORS)


def test_imports_go_down():
    height = {room: number for number, floor in enumerate(FLOORS) for room in floor}
    edges = imports_between_rooms()
    assert [text for (a, b), text in edges.items() if height[a] < height[b]] == []
    along = {(a, b) for a, b in edges if height[a] == height[b]}
    assert {(a, b) for a, b in along if (b, a) in along} == set(), "a circle within a floor"


def test_the_numeric_core_and_the_measures_stand_alone():
    for path in MODULES:
        name, others = module(path), {other for other in imports(path) if other.startswith("harness.")}
        if name.startswith("harness.metrics."):
            assert {o for o in others if room(o) not in {"metrics", "errors"}} == set(), name
        if name.startswith("harness.training."):
            far = {o for o in others if room(o) not in {"training", "errors"}}
            assert far <= {"harness.data.prepared"}, f"{name} imports {far}"


def test_nobody_imports_estimates_but_the_command_line():
    importers = {a for a, b in imports_between_rooms() if b == "estimate"}
    assert importers <= {"cli"}


@pytest.mark.parametrize("torch_free", TORCH_FREE)
def test_rooms_without_torch(torch_free):
    files = sorted((ROOT / "harness" / torch_free).rglob("*.py"))
    assert len(files) > 1
    for path in files:
        reachable = import_closure([module(path).removesuffix(".__init__")])
        for name in reachable:
            file = ROOT.joinpath(*name.split(".")).with_suffix(".py")
            if file.exists():
                assert "torch" not in names(file), f"{module(path)} reaches torch through {name}"


def test_metrics_need_numpy_and_scipy_only():
    for path in (ROOT / "harness" / "metrics").glob("*.py"):
        foreign = names(path) - set(sys.stdlib_module_names) - {"numpy", "scipy", "harness"}
        assert not foreign, f"{module(path)} imports {foreign}"
        rooms = {name for name in imports(path) if name.startswith("harness.")}
        rooms = {name for name in rooms if not name.startswith("harness.metrics")}
        assert rooms <= {"harness.errors"}, f"{module(path)} imports {rooms}"


@pytest.mark.parametrize(
    "verb", ["render", "aggregate", "show", "check", "figure", "plot", "report", "document", "plan", "watch", "track"]
)
def test_verbs_of_readers_start_without_torch(verb):
    code = (
        "import sys, harness.cli.main as m\n"
        f"try: m.main(['{verb}', '--help'])\nexcept SystemExit: pass\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode == 0


def test_no_method_or_category_is_named_in_python():
    from harness.config import load_config, load_datasets, load_methods

    datasets = load_datasets(load_config({"data_root": None}))
    known = set(load_methods()) | {c for d in datasets.values() for c in d.categories if len(c) > 3}
    known.discard("grid")  # also a kind of table
    for path in MODULES:
        if "demo" in path.parts:
            continue  # the painters of the embedded data are data: they name what they paint
        strings = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
        named = {s for s in strings if isinstance(s, str) and s in known}
        assert not named, f"{module(path)} names {named}; that belongs into YAML"


def test_functions_and_modules_stay_readable():
    for path in MODULES:
        text = path.read_text()
        assert text.count("\n") <= 300, f"{module(path)} is too long; find the seam"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno <= 50, f"{module(path)}:{node.lineno} {node.name} is too long"
