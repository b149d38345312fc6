"""Method cards: what config/methods.yaml says, and the docstring of the detector, read without importing it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

import yaml

from harness.cell import Method, Override, Protocol
from harness.paths import ROOT

SHOWN = ("threshold", "image_threshold", "validation", "weak", "applies_to", "zoom", "options", "training")


def method_cards(methods: Mapping[str, Method], protocol: Protocol, used: Collection[str]) -> list[dict[str, Any]]:
    """Return one card a method that the report names, in the order of config/methods.yaml."""
    return [
        {
            "id": name,
            "title": entry.title,
            "detector": entry.detector,
            "source": entry.source,
            "gives": " and ".join(entry.gives),
            "settings": [
                *((key.replace("_", " "), _flow(value)) for key in SHOWN if (value := getattr(entry, key))),
                *(
                    ("all methods, " + key, _flow(value))
                    for key, value in (("training", protocol.training), ("limits", protocol.limits))
                    if value
                ),
                *(
                    (f"{protocol.title}, {key}", _flow(value))
                    for key, value in protocol.methods.get(name, Override()).given().items()
                ),
            ],
            "text": docstring(entry.detector),
        }
        for name, entry in methods.items()
        if name in used
    ]


def _flow(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return str(yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, width=10**6)).strip().strip("{}")


def docstring(detector: str) -> str:
    """Return what a detector's module and class ("package.module:Class") say of the method; empty if nothing.

    The list of a class's arguments is left out: the settings stand above it.
    """
    module, _, name = detector.partition(":")
    path = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file():
        return ""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    described: list[ast.Module | ast.ClassDef] = [tree]
    described += [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    texts = [(ast.get_docstring(node) or "").partition("Args:\n")[0].strip() for node in described]
    return "\n\n".join(text for text in texts if text)
