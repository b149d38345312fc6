"""Method cards: what config/methods.yaml says, and the docstring of the detector, read without importing it."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Mapping
from typing import Any

from harness.cell import Method, Override, Protocol
from harness.paths import ROOT

SHOWN = ("threshold", "image_threshold", "validation", "weak", "applies_to", "zoom", "auxiliary", "options", "training")


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
                    (f"{protocol.title}, {key}", _flow(value))
                    for key, value in protocol.methods.get(name, Override()).given().items()
                ),
            ],
            "text": docstring(entry.detector),
        }
        for name, entry in methods.items()
        if name in used
    ]


def for_all_methods(protocol: Protocol) -> list[tuple[str, str]]:
    """Return what a protocol sets for every method."""
    both = {"training": protocol.training, "limits": protocol.limits}
    return [(name, _flow(value)) for name, value in both.items() if value]


def _flow(value: Any) -> str:
    """Return a setting on one line; keys of a mapping that share a mapping stand together."""
    if not isinstance(value, Mapping):
        return str(value)
    shared: dict[str, list[str]] = {}
    for key, part in value.items():
        nested = isinstance(part, Mapping)
        shared.setdefault(f"{{{_flow(part)}}}" if nested else f"{key}: {_plain(part)}", []).append(
            key if nested else ""
        )
    return ", ".join(f"{', '.join(keys)}: {text}" if keys[0] else text for text, keys in shared.items())


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False).replace('"', "").replace("null", "none")


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
