"""Method cards: what config/methods.yaml says, and the docstring of the detector, read without importing it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from benchmark.config import ROOT

SHOWN = ("threshold", "image_threshold", "validation", "weak", "applies_to", "zoom", "options", "training")


def method_cards(methods: Mapping[str, Mapping[str, Any]], used: Collection[str]) -> list[dict[str, Any]]:
    """Return one card a method that the report names, in the order of config/methods.yaml."""
    return [
        {
            "id": name,
            "title": entry["title"],
            "detector": entry["detector"],
            "source": entry.get("source", ""),
            "gives": " and ".join(entry["gives"]),
            "settings": [(key.replace("_", " "), _flow(entry[key])) for key in SHOWN if entry.get(key)],
            "text": docstring(entry["detector"]),
        }
        for name, entry in methods.items()
        if name in used
    ]


def _flow(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return str(yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, width=10**6)).strip().strip("{}")


def docstring(detector: str) -> str:
    """Return the docstrings of a detector's module and class ("package.module:Class"); empty where there are none."""
    module, _, name = detector.partition(":")
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        return ""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    texts = [ast.get_docstring(tree), *map(ast.get_docstring, classes)]
    return "\n\n".join(text for text in texts if text)
